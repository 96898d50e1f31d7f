"""The chat format that was saved with an adapter, and whether the base that it is built on has one.

A saved format is only recognised here: the marks around its turns say which shipped template it is like. What
Ollama will send is not compared with it here.
"""

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path

from ollama_pack.base.model import BaseModel
from ollama_pack.errors import InputError
from ollama_pack.lora.peft.chat_template import read_chat_template

TEMPLATE_KEY = "tokenizer.chat_template"

_TURN_MARKS: Mapping[str, tuple[str, ...]] = {
    "chatml": ("<|im_start|>",),
    "llama3": ("<|start_header_id|>",),
    "gemma": ("<start_of_turn>",),
    "phi3": ("<|end|>", "<|assistant|>"),
    "zephyr": ("<|assistant|>",),
    "llama2": ("[INST]", "<<SYS>>"),
    "mistral": ("[INST]",),
    "alpaca": ("### Instruction:", "### Response:"),
    "vicuna": ("USER:", "ASSISTANT:"),
}
"""The name of a shipped template → the marks that its turns have. The first one that fits counts."""

_PLAIN_TAG = re.compile(r"(?:^|[-:])(?:text|base|code|pt)(?:-|$)")
"""The words by which the tags of Ollama's library name models that were not trained to chat."""


def missing_format(directory: Path, base: BaseModel) -> str:
    """Return a sentence if an adapter has a chat template and its base has none, else an empty text.

    Args:
        directory: the directory that holds the adapter.
        base: the base that the model is built on.
    """
    try:
        saved = read_chat_template(directory)
    except InputError as error:
        way = f"; {error.hint}" if error.hint else ""
        return f"the chat format of the adapter cannot be read: {error.where}: {error.clause}{way}"
    reason = _why_plain(base, saved.text) if saved is not None else ""
    if saved is None or not reason:
        return ""
    name = like_template(saved.text)
    way = f"--template {name}" if name else "--template FILE, with a Modelfile template of this format,"
    return f"{saved.origin} has the chat format that was trained, but {reason}: {way} sets it."


def trained_format(directory: Path) -> str:
    """Return the chat template that was saved with an adapter, or an empty text if none can be read."""
    with contextlib.suppress(InputError):  # what is wrong with it is a warning of the build
        saved = read_chat_template(directory)
        return saved.text if saved is not None else ""
    return ""


def like_template(text: str) -> str:
    """Return the shipped template that has the marks of a chat template, or an empty text.

    Example: ``{% for m in messages %}<|im_start|>…`` → ``chatml``.
    """
    return next((name for name, marks in _TURN_MARKS.items() if all(mark in text for mark in marks)), "")


def _why_plain(base: BaseModel, text: str) -> str:
    """Return why a base lacks the format, or an empty text if it has one or that is not known."""
    if base.info is not None:
        own = base.info.metadata.get(TEMPLATE_KEY)
        name = base.gguf.name if base.gguf is not None else base.info.name
        if not isinstance(own, str) or not own:
            return f"{name} has none"
        other = like_template(own)
        return f"{name} has that of {other}" if like_template(text) not in ("", other) and other else ""
    tag = base.tag.rpartition(":")[2]
    return f"{base.tag} is a base model without one" if _PLAIN_TAG.search(tag) else ""
