"""Reads the chat template that was saved with an adapter, from the files that transformers writes.

``chat_template.jinja`` comes first, as in transformers; else the template is in ``tokenizer_config.json``,
as a string or as a list of named templates, of which ``default`` is used.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ollama_pack.chat.trained import ChatTemplate
from ollama_pack.disk.files import read_json_object, read_small
from ollama_pack.errors import InputError
from ollama_pack.lora.peft.run_directory import run_of

TEMPLATE_FILE = "chat_template.jinja"
_TOKENIZER, _SPECIAL_TOKENS = "tokenizer_config.json", "special_tokens_map.json"
_DEFAULT = "default"
_MOST_TEMPLATE = 1 << 20


def read_chat_template(directory: Path) -> ChatTemplate | None:
    """Return the chat template that an adapter was trained with, or None if none was saved with it.

    A checkpoint without one borrows that of its run.

    Args:
        directory: the adapter's directory.

    Raises:
        InputError: a file is damaged, or there are several templates and none is the default.

    Example:
        >>> template = read_chat_template(Path("ada-lovelace-lora"))
        >>> template.special["eos_token"]
        '<|im_end|>'
    """
    found = _template_in(directory)
    run = run_of(directory)
    return found if found or run is None else _template_in(run)


def has_chat_template(directory: Path) -> bool:
    """Return whether a chat template may have been saved with an adapter; no file is read."""
    folders = (directory, run_of(directory))
    return any((each / name).is_file() for each in folders if each for name in (TEMPLATE_FILE, _TOKENIZER))


def _template_in(directory: Path) -> ChatTemplate | None:
    """Return the chat template of the files in a directory, or None if they have none."""
    path = directory / _TOKENIZER
    settings = read_json_object(path) if path.is_file() else {}
    special = _special_texts(directory, settings)
    jinja = directory / TEMPLATE_FILE
    if jinja.is_file():
        try:
            text = read_small(jinja, _MOST_TEMPLATE).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError("The chat template is not UTF-8.", where=jinja) from error
        return ChatTemplate(text, special, str(jinja))
    given = settings.get("chat_template")
    where = f"{path}: chat_template"
    if given is None or given == "":
        return None
    if isinstance(given, str):
        return ChatTemplate(given, special, where)
    named = _named_templates(given, where)
    if _DEFAULT not in named:
        raise InputError(
            f"There are several chat templates ({', '.join(sorted(named))}) and none is the default.",
            where=where,
            hint=f"save the template used in training as {shlex.quote(str(directory / TEMPLATE_FILE))}",
        )
    others = tuple(sorted(named.keys() - {_DEFAULT}))
    return ChatTemplate(named[_DEFAULT], special, where, others)


def _named_templates(given: object, where: str) -> dict[str, str]:
    """Return the templates of a list, or of an object, by their names."""
    pairs = (
        [(entry.get("name"), entry.get("template")) for entry in given if isinstance(entry, Mapping)]
        if isinstance(given, list)
        else list(given.items())
        if isinstance(given, Mapping)
        else []
    )
    named = {name: text for name, text in pairs if isinstance(name, str) and isinstance(text, str)}
    if not named:
        raise InputError("The chat template is neither a string nor a list of named templates.", where=where)
    return named


def _special_texts(directory: Path, settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the special tokens of a tokenizer; the older file is used for what the newer lacks."""
    path = directory / _SPECIAL_TOKENS
    older = read_json_object(path) if path.is_file() else {}
    found: dict[str, str] = {}
    for source in (older, settings):
        for name, value in source.items():
            text = value.get("content") if isinstance(value, Mapping) else value
            if name.endswith("_token") and isinstance(text, str):
                found[name] = text
    return found
