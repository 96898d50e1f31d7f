"""Writes into a Modelfile what a merged model would otherwise lose: all of an installed base but its weights.

A model with an adapter is built FROM its base, and Ollama inherits the rest. A merged model is built FROM a
file, so the rest must be in its Modelfile. Then every delivery and ``ollama create -f`` make the same model.
See "A merged model is a model of its own file" in docs/decisions.md.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from ollama_pack.base.model import BaseModel
from ollama_pack.disk.files import os_errors_as_destination_error, read_small
from ollama_pack.errors import DestinationError, UnsupportedError
from ollama_pack.formats.untrusted_json import as_list, as_mapping, optional, parse_json
from ollama_pack.modelfile.editing import with_command
from ollama_pack.modelfile.syntax import ROLES, Modelfile
from ollama_pack.ollama.manifest import (
    ADAPTER_TYPE,
    LICENSE_TYPE,
    MESSAGES_TYPE,
    MODEL_TYPE,
    PARAMS_TYPE,
    SYSTEM_TYPE,
    TEMPLATE_TYPE,
    BaseImage,
)
from ollama_pack.ollama.store import image_in_store
from ollama_pack.ollama.store_layout import blob_path

Inherited = tuple[str, str, str]
"""The name, the key and the value of a command that a model inherits."""

_INHERITED_TEXTS = {TEMPLATE_TYPE: "TEMPLATE", SYSTEM_TYPE: "SYSTEM", LICENSE_TYPE: "LICENSE"}
_KNOWN = frozenset({*_INHERITED_TEXTS, MODEL_TYPE, PARAMS_TYPE, MESSAGES_TYPE})


def with_inherited(modelfile: Modelfile, base: BaseModel) -> tuple[Modelfile, tuple[str, ...]]:
    """Return a Modelfile with the commands that it inherits, and a sentence for each thing that it cannot.

    A command of the Modelfile replaces that of the base; licences of both are kept. Only a base that is an
    installed model adds anything.

    Args:
        modelfile: the Modelfile of the merged model.
        base: the base that the adapter is merged into, with the file of its weights.

    Raises:
        UnsupportedError: the base has an adapter itself, or a Modelfile cannot hold one of its texts.
        DestinationError: a part of the base cannot be read.
    """
    if not base.tag or base.gguf is None:
        return modelfile, ()
    store = base.gguf.parent.parent
    image = image_in_store(store, base.tag)
    if any(layer.media_type == ADAPTER_TYPE for layer in image.layers):
        raise adapted_base_error(base.tag)
    own = {(command.name, command.key) for command in modelfile.commands}
    templated = ("TEMPLATE", "") in own
    messages = any(name == "MESSAGE" for name, _ in own)
    lost: dict[str, None] = {}
    for name, key, value in _commands_of(store, image):
        replaced = name != "LICENSE" and (name, key) in own
        if name == "MESSAGE" and key not in ROLES:
            lost[f"messages of the role {key!r}"] = None
        elif not (replaced or (name == "RENDERER" and templated) or (name == "MESSAGE" and messages)):
            modelfile = with_command(modelfile, name, value, key=key)
    left = sorted({layer.media_type for layer in image.layers} - _KNOWN)
    lost |= {f"the {each.rpartition('.')[2]}": None for each in left}
    return modelfile, tuple(f"the merged model does not have {what} of {base.tag}" for what in lost)


def adapted_base_error(tag: str) -> UnsupportedError:
    """Return the error for a base that has an adapter itself, which merging into its weights would lose."""
    return UnsupportedError(
        f"{tag} has an adapter itself, which a merged model would lose.",
        where=tag,
        hint="--base with the model that its adapter was made for; or leave out --merge",
        code="base-has-adapter",
    )


def _commands_of(store: Path, image: BaseImage) -> Iterator[Inherited]:
    """Yield each command that says what a layer or the configuration of a model says."""
    for key in ("renderer", "parser", "requires"):
        if value := image.config.get(key):
            yield key.upper(), "", str(value)
    for layer in image.layers:
        if layer.media_type in _INHERITED_TEXTS:
            text = _read_text(blob_path(store, layer.digest))
            if text.strip():
                yield _INHERITED_TEXTS[layer.media_type], "", text
        elif layer.media_type == PARAMS_TYPE:
            for name, value in _read_part(blob_path(store, layer.digest), as_mapping).items():
                for each in value if isinstance(value, list) else [value]:
                    yield "PARAMETER", name, each if isinstance(each, str) else json.dumps(each)
        elif layer.media_type == MESSAGES_TYPE:
            for message in _read_part(blob_path(store, layer.digest), _as_messages):
                yield "MESSAGE", optional(message, "role", ""), optional(message, "content", "")


def _read_text(path: Path) -> str:
    """Return the text of a blob."""
    with os_errors_as_destination_error(path):
        return read_small(path).decode("utf-8", "replace")


_Part = TypeVar("_Part")


def _read_part(path: Path, as_kind: Callable[[object, str], _Part]) -> _Part:
    """Return the JSON value of a blob, which must be of this kind."""
    try:
        return as_kind(parse_json(_read_text(path)), "the document")
    except ValueError as error:
        raise DestinationError("This part of the base is damaged.", where=path) from error


def _as_messages(value: object, key: str) -> list[dict[str, Any]]:
    """Return a value that must be a list of messages, each with text as its content."""
    messages = [as_mapping(each, key) for each in as_list(value, key)]
    for each in messages:
        optional(each, "content", "")
    return messages
