"""What is known of a base that is at hand: its header, its tensors and its tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ollama_pack.gguf.reader import GgufFile
from ollama_pack.gguf.split import read_model

SPECIAL = ("bos", "eos", "pad")
"""Tokens with a meaning of their own: begin of text, end of text, padding."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tokens by their ids.

    Attributes:
        tokens: id → token; a space may stand as ``▁``.
        special: ``bos``, ``eos`` or ``pad`` → id, of those that are known.
        origin: where this was read.
    """

    tokens: Mapping[int, str]
    special: Mapping[str, int] = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A base as it is, from its header or as a daemon shows it.

    Attributes:
        name: what the user calls it.
        metadata: of its header; ``model_info`` of ``/api/show`` serves too.
        shapes: name → shape, rows first, of its tensors; empty if they are unknown.
        vocabulary: the tokens of its tokenizer, or None if they are unknown.
    """

    name: str
    metadata: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    vocabulary: Vocabulary | None = None


TOKENS_KEY = "tokenizer.ggml.tokens"
_SPECIAL = {"bos": "bos", "eos": "eos", "pad": "padding"}


def read_model_info(path: Path, name: str = "") -> ModelInfo:
    """Return what the header of a GGUF model says, with its tokens; no weight is read.

    Args:
        path: the GGUF file.
        name: what the user calls the model; empty for the name of the file.

    Raises:
        InputError: the file is missing or damaged.
    """
    return model_info_of(read_model(path, (TOKENS_KEY,)), name)


def model_info_of(header: GgufFile, name: str = "") -> ModelInfo:
    """Return the same of a header that was read with its tokens."""
    origin = header.path.name
    return ModelInfo(name or origin, header.metadata, header.shapes, vocabulary_of(header.metadata, origin))


def vocabulary_of(metadata: Mapping[str, Any], origin: str) -> Vocabulary | None:
    """Return the tokens in a header or in the answer of ``/api/show``, or None if it has none."""
    tokens = metadata.get(TOKENS_KEY)
    if not isinstance(tokens, list | tuple) or not tokens:
        return None
    special = {kind: metadata.get(f"tokenizer.ggml.{name}_token_id") for kind, name in _SPECIAL.items()}
    return Vocabulary(
        {number: str(token) for number, token in enumerate(tokens)},
        {kind: number for kind, number in special.items() if type(number) is int},
        origin,
    )
