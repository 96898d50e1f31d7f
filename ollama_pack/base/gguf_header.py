"""Reads a base from the header of a GGUF model file; no weight is read."""

import math
from dataclasses import replace
from pathlib import Path

from ollama_pack.arch.hparams import HParams, StateSpace
from ollama_pack.arch.table import get_arch
from ollama_pack.base.file_digest import FileDigest
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.gguf.constants import FILE_TYPES
from ollama_pack.gguf.model_info import VOCABULARY_KEYS, model_info_of
from ollama_pack.gguf.reader import GgufFile, LongArray
from ollama_pack.gguf.split import joined_header, read_parts
from ollama_pack.ollama.compat import NOT_RUN, translate_header


def read_base_gguf(path: Path, *, tag: str = "", digest: str = "") -> BaseModel:
    """Return the base that a GGUF file holds.

    Args:
        path: the GGUF file.
        tag: the Ollama model that the file belongs to; empty if it belongs to none.
        digest: the digest of the file, ``sha256:…``, if it is known; else empty.

    Raises:
        InputError: the file is missing or damaged, or it is not a model.
    """
    if path.is_dir():
        raise InputError("This is a directory; name the GGUF file.", where=path, hint="--base FILE.gguf")
    parts = read_parts(path, VOCABULARY_KEYS)
    header = joined_header(path, parts)
    kind = header.text("general.type", "model")
    if kind != "model":
        raise InputError(
            f"The file is a GGUF of type {kind!r}, not a model.", where=path, hint="--base MODEL.gguf"
        )
    info = model_info_of(header, tag)
    base, origin = base_of_header(header), f"header of {path.name}"
    taken = FileDigest(path, digest)
    return replace(base, origin=origin, tag=tag, gguf=path, info=info, digest=taken, parts=parts)


def base_of_header(header: GgufFile) -> BaseModel:
    """Return the base that a header describes.

    The header is read from a file, or made of what a daemon shows of a model.

    A base in Ollama's own form is described as llama.cpp sees it, after Ollama has translated it.

    Raises:
        InputError: a number is missing or is not a number.
        UnsupportedError: no version of Ollama runs such a base any more.
    """
    stored_arch = header.text("general.architecture")
    if not stored_arch:
        raise InputError("The key is missing.", where=f"{header.path}: general.architecture")
    if stored_arch in NOT_RUN:
        raise UnsupportedError(
            f"The base is {NOT_RUN[stored_arch]}.", where=f"{header.path}: general.architecture"
        )
    metadata, shapes = translate_header(header.metadata, header.shapes)
    header = replace(header, metadata=metadata, shapes=shapes)
    arch = header.text("general.architecture")
    blocks, hidden = header.integer(f"{arch}.block_count"), header.integer(f"{arch}.embedding_length")
    heads, heads_each = _head_counts(header, f"{arch}.attention.head_count")
    kv_heads, kv_each = _head_counts(header, f"{arch}.attention.head_count_kv", (heads, heads_each))
    return BaseModel(
        hparams=HParams(
            arch=arch,
            blocks=blocks,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=header.integer(f"{arch}.attention.key_length", hidden // max(heads, 1)),
            hidden=hidden,
            feed_forward=_feed_forward(header, f"{arch}.feed_forward_length"),
            experts=header.integer(f"{arch}.expert_count", 0),
            expert_feed_forward=_feed_forward(header, f"{arch}.expert_feed_forward_length"),
            vocab=_vocabulary(header),
            tied="output.weight" not in header.shapes,
            ssm=StateSpace(
                groups=header.integer(f"{arch}.ssm.group_count", 0),
                heads=header.integer(f"{arch}.ssm.time_step_rank", 0),
                state=header.integer(f"{arch}.ssm.state_size", 0),
                inner=header.integer(f"{arch}.ssm.inner_size", 0),
            ),
            heads_per_layer=_heads_of_each_layer((heads, heads_each), (kv_heads, kv_each)),
        ),
        source_id=_source_id(header),
        tensors=header.shapes,
        details=_details(header, stored_arch),
    )


def _head_counts(
    header: GgufFile, key: str, default: tuple[int, tuple[int, ...]] | None = None
) -> tuple[int, tuple[int, ...]]:
    """Return the largest head count, and a count for each layer if they differ, else an empty tuple.

    A layer with 0 heads has no attention; it gets the largest count, which nothing uses.

    Raises:
        InputError: the key is missing, or its value is 0 although the architecture has attention.
    """
    value = header.metadata.get(key)
    if value is None and default is not None:
        return default
    numbers = value if isinstance(value, tuple) else (value,)
    counts = [number for number in numbers if type(number) is int and number >= 0]
    largest = max(counts, default=0)
    if len(counts) != len(numbers) or not (largest or _is_headless(header)):
        raise InputError(
            "The key is missing." if value is None else f"The value is {value!r:.60}, not a number of heads.",
            where=f"{header.path}: {key}",
        )
    return largest, tuple(count or largest for count in counts) if len(set(counts) - {0}) > 1 else ()


def _heads_of_each_layer(
    heads: tuple[int, tuple[int, ...]], kv_heads: tuple[int, tuple[int, ...]]
) -> tuple[tuple[int, int], ...]:
    """Return the heads and key-value heads of each layer, or an empty tuple if all layers have the same."""
    blocks = max(len(each) for _, each in (heads, kv_heads))
    both = [each or (number,) * blocks for number, each in (heads, kv_heads)]
    return tuple(zip(*both, strict=False))


def _is_headless(header: GgufFile) -> bool:
    """Return whether no layer of the architecture has attention."""
    arch = get_arch(header.text("general.architecture"))
    return arch is not None and not arch.has_heads


def _feed_forward(header: GgufFile, key: str) -> int:
    """Return the inner size, or 0 if layers differ in it; the shapes of the tensors are checked anyway."""
    return header.integer(key, 0) if isinstance(header.metadata.get(key, 0), int) else 0


def _vocabulary(header: GgufFile) -> int:
    """Return the number of tokens; without a tokenizer, the number of rows of the embedding."""
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if isinstance(tokens, LongArray):
        return tokens.length
    if isinstance(tokens, tuple):
        return len(tokens)
    return header.shapes.get("token_embd.weight", (0,))[0]


def _source_id(header: GgufFile) -> str:
    """Return the Hugging Face id that the file says it was made from, or an empty text if it names none."""
    for key in ("general.source.repo_url", "general.repo_url", "general.source.huggingface.repository"):
        value = header.text(key).removeprefix("https://huggingface.co/")
        if value.count("/") == 1:
            return value
    return ""


def _details(header: GgufFile, arch: str) -> dict[str, str]:
    """Return the fields of Ollama's configuration that follow from a header."""
    parameters = header.integer(
        "general.parameter_count", sum(math.prod(shape) for shape in header.shapes.values())
    )
    return {
        "model_family": arch,
        "model_type": human_count(parameters),
        "file_type": _file_type(header.integer("general.file_type", 0)),
    }


def _file_type(number: int) -> str:
    """Return the name of the quantisation; like Ollama, treat 0 (all F32) as a missing key."""
    return FILE_TYPES.get(number, "unknown") if number else "unknown"


def human_count(number: int) -> str:
    """Return a number of parameters as Ollama writes it: ``134.52M``, ``7B``, ``6.7B``, ``120K``."""
    for unit, letter, decimals in ((10**9, "B", 1), (10**6, "M", 2)):
        if number >= unit:
            return (
                f"{number // unit}{letter}" if number % unit == 0 else f"{number / unit:.{decimals}f}{letter}"
            )
    return f"{number / 1000:.0f}K" if number >= 1000 else str(number)
