"""Reads the metadata, the tensors and the tokens of a model from its GGUF header or a daemon's answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ollama_pack.gguf.reader import GgufFile
from ollama_pack.gguf.split import read_model

SPECIAL = ("bos", "eos", "pad")
"""The tokens that are compared by their meaning: begin of text, end of text, padding."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens of a model by their ids.

    Attributes:
        tokens: a map from id to token; a space may be written as ``▁``.
        special: a map from ``bos``, ``eos`` or ``pad`` to the id of that token, for those that are known.
        origin: the file or the model that the tokens were read from.
        merges: the merges of a BPE tokenizer, in order, each as two tokens with a space between them; empty
            if they are not known.
        added: the ids of the tokens that were added to a tokenizer, each with whether it is special; empty
            if that is not known.
    """

    tokens: Mapping[int, str]
    special: Mapping[str, int] = field(default_factory=dict)
    origin: str = ""
    merges: tuple[str, ...] = ()
    added: Mapping[int, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A base as it is, from its header or as a daemon shows it.

    Attributes:
        name: the name the user gives it.
        metadata: the keys and values of its header, or ``model_info`` of ``/api/show``.
        shapes: a map from the name of each tensor to its shape, rows first; empty if no shapes are known.
        vocabulary: its tokens, or None if they are not known.
        types: the ggml type of each tensor; empty if they are not known.
    """

    name: str
    metadata: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    vocabulary: Vocabulary | None = None
    types: Mapping[str, int] = field(default_factory=dict)


TOKENS_KEY = "tokenizer.ggml.tokens"
VOCABULARY_KEYS = (TOKENS_KEY, "tokenizer.ggml.merges")
"""The keys of a header with long lists of texts that a `Vocabulary` is made of."""

SPECIAL_KEYS = {
    kind: f"tokenizer.ggml.{name}_token_id"
    for kind, name in {"bos": "bos", "eos": "eos", "pad": "padding"}.items()
}
"""The keys of a header with the ids of `SPECIAL`."""


def read_model_info(path: Path, name: str = "") -> ModelInfo:
    """Return what the header of a GGUF model says, with its tokens; no weight is read.

    Args:
        path: the GGUF file.
        name: what the user calls the model; empty for the name of the file.

    Raises:
        InputError: the file is missing or damaged.
    """
    return model_info_of(read_model(path, VOCABULARY_KEYS), name)


def model_info_of(header: GgufFile, name: str = "") -> ModelInfo:
    """Return what a header says that was read with its tokens, as `read_model_info` does."""
    origin = header.path.name
    tokens = vocabulary_of(header.metadata, origin)
    return ModelInfo(name or origin, header.metadata, header.shapes, tokens, header.types)


def vocabulary_of(metadata: Mapping[str, Any], origin: str) -> Vocabulary | None:
    """Return the tokens of a header or of ``/api/show``, or None if it has no list of tokens."""
    tokens = metadata.get(TOKENS_KEY)
    if not isinstance(tokens, list | tuple) or not tokens:
        return None
    merges = metadata.get(VOCABULARY_KEYS[1])
    special = {kind: metadata.get(key) for kind, key in SPECIAL_KEYS.items()}
    return Vocabulary(
        dict(enumerate(_all_texts(tokens))),
        {kind: number for kind, number in special.items() if type(number) is int},
        origin,
        _all_texts(merges) if isinstance(merges, list | tuple) else (),
    )


def _all_texts(values: Sequence[object]) -> tuple[str, ...]:
    """Return values as texts; those of a header are texts already, which a loop in C finds out."""
    if isinstance(values, tuple) and set(map(type, values)) <= {str}:
        return cast("tuple[str, ...]", values)
    return tuple(map(str, values))
