"""READ  a base that is there → Seen: its header, its tensors and its tokens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ollama_pack.agreement import Seen, Vocabulary
from ollama_pack.gguf_io.split import read_model

TOKENS = "tokenizer.ggml.tokens"
_SPECIAL = {"bos": "bos", "eos": "eos", "pad": "padding"}


def see_file(path: Path, name: str = "") -> Seen:
    """Return a base that is a GGUF file; only its header is read.

    Raises:
        InputError: it is missing or damaged.
    """
    header = read_model(path, (TOKENS,))
    return Seen(name or path.name, header.metadata, header.shapes, vocabulary_of(header.metadata, path.name))


def vocabulary_of(metadata: Mapping[str, Any], origin: str) -> Vocabulary | None:
    """Return the tokens in a header, or as ``/api/show`` tells them; None where it does not."""
    tokens = metadata.get(TOKENS)
    if not isinstance(tokens, list | tuple) or not tokens:
        return None
    special = {kind: metadata.get(f"tokenizer.ggml.{name}_token_id") for kind, name in _SPECIAL.items()}
    return Vocabulary(
        {number: str(token) for number, token in enumerate(tokens)},
        {kind: number for kind, number in special.items() if type(number) is int},
        origin,
    )
