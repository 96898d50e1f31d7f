"""The two files of a merge, tensor by tensor: the base, and what was merged into it, read again from disk."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import FileIO
from typing import BinaryIO

import numpy as np

from ollama_pack.base.model import BaseModel
from ollama_pack.errors import ProofError
from ollama_pack.gguf.blocks import read_blocks, read_by_library, type_name
from ollama_pack.gguf.code_layouts import Bytes
from ollama_pack.gguf.ggml_types import nbytes_of
from ollama_pack.gguf.reader import GgufFile
from ollama_pack.gguf.tensor_data import Float32, open_unnoticed
from ollama_pack.lora.adapter import Adapter
from ollama_pack.verify.merged_rows import EMBEDDING_WEIGHT, HEAD_WEIGHT, needs_own_head
from ollama_pack.verify.merged_vocabulary import (
    ROW_FOR_EACH_TOKEN,
    as_trained,
    prove_vocabulary,
    trained_layers,
)

PIECE_NUMBERS = 1 << 19
"""Numbers of a weight that are compared at a time."""

PIECE_BYTES = 4 << 20
"""Bytes of an untouched tensor that are compared at a time."""

WITNESSED_ROWS = 4
"""Rows of each weight, in either file, that are read by the gguf library too."""

ALLOWED_KEYS = ("general.", "split.", "tokenizer.chat_template", "ollama_pack.")
"""Beginnings of the keys that may differ from the base's: what names the model, its parts and its prompt."""


@dataclass(frozen=True, slots=True)
class TensorPair:
    """A tensor in both files.

    Attributes:
        name: its name in the merged file.
        base: the header of the file, or part, of the base that has it.
        merged: the header of the merged file.
        base_name: its name in the base.
        rows: its rows in the merged file, if the vocabulary was resized; 0 for those of the base.
    """

    name: str
    base: GgufFile
    merged: GgufFile
    base_name: str
    rows: int = 0

    def name_in(self, file: GgufFile) -> str:
        """Return its name in one of the two files."""
        return self.name if file is self.merged else self.base_name

    @property
    def shape(self) -> tuple[int, ...]:
        """Return its shape in the merged file, rows and columns last; each number of a vector is a row."""
        shape = self.base.shapes[self.base_name]
        shape = (self.rows, *shape[1:]) if self.rows else shape
        return shape if len(shape) > 1 else (*shape, 1)

    @property
    def columns(self) -> int:
        """Return the length of a row."""
        return self.shape[-1]

    def size(self, file: GgufFile) -> int:
        """Return the size of the tensor in a file, in bytes."""
        name = self.name_in(file)
        return nbytes_of(file.types[name], file.shapes[name])


def pairs_of(
    parts: Sequence[GgufFile], merged: GgufFile, adapter: Adapter, base: BaseModel
) -> dict[str, TensorPair]:
    """Return every tensor of the merged file, each with the tensor of the base that it is made of.

    The head of a tied base may be a tensor of its own, made of the embeddings. Head and embeddings have as
    many rows as the adapter was trained with.

    Raises:
        ProofError: a tensor is missing, is one too many, or has another shape.
    """
    rows = {name: shape[0] for name, shape in (as_trained(base, adapter).tensors or {}).items()}
    pairs = {
        name: TensorPair(name, part, merged, name, rows.get(name, 0) if name in ROW_FOR_EACH_TOKEN else 0)
        for part in parts
        for name in part.shapes
    }
    pairs = _repeated(pairs, trained_layers(adapter))
    if needs_own_head(adapter, base):
        pairs[HEAD_WEIGHT] = replace(pairs[EMBEDDING_WEIGHT], name=HEAD_WEIGHT)
    for name in pairs.keys() ^ merged.shapes.keys():
        raise ProofError(
            "The tensor is in only one of the two files, the base and the merged file.",
            where=f"{merged.path}: {name}",
            code="merged",
        )
    for name, pair in pairs.items():
        wanted = pair.base.shapes[pair.base_name]
        wanted = (pair.rows, *wanted[1:]) if pair.rows else wanted
        if wanted != merged.shapes[name]:
            raise ProofError(
                f"The tensor has the shape {merged.shapes[name]}, and should have {wanted}.",
                where=f"{merged.path}: {name}",
                code="merged",
            )
    return pairs


def _repeated(pairs: dict[str, TensorPair], layers: Sequence[int]) -> dict[str, TensorPair]:
    """Return the tensors of a model whose layers were repeated in training, each paired with its layer's."""
    if not layers:
        return pairs
    made = {name: pair for name, pair in pairs.items() if not name.startswith("blk.")}
    for place, layer in enumerate(layers):
        for name, pair in pairs.items():
            if name.startswith(f"blk.{layer}."):
                copy = f"blk.{place}.{name.removeprefix(f'blk.{layer}.')}"
                made[copy] = replace(pair, name=copy)
    return made


def compare_keys(base: GgufFile, merged: GgufFile, adapter: Adapter) -> None:
    """Require the keys of the base, byte for byte, but for those that name the model and its prompt.

    If the adapter was trained with other tokens, the keys of the vocabulary must be those of the training.

    Raises:
        ProofError: a key differs.
    """
    own: frozenset[str] = frozenset()
    if adapter.vocabulary is not None:
        own = prove_vocabulary(base, merged, adapter.vocabulary)
    if layers := trained_layers(adapter):
        count = f"{base.text('general.architecture')}.block_count"
        if merged.integer(count, 0) != len(layers):
            where = f"{merged.path}: {count}"
            raise ProofError("The number of layers is not that of the training.", where=where, code="merged")
        own |= {count}
    with base.path.open("rb") as one, merged.path.open("rb") as other:
        for key in sorted(base.spans.keys() | merged.spans.keys()):
            if key.startswith(ALLOWED_KEYS) or key in own:
                continue
            both = key in base.spans and key in merged.spans
            if not both or _at(one, base.spans[key]) != _at(other, merged.spans[key]):
                raise ProofError(
                    "The key differs from that of the base.", where=f"{merged.path}: {key}", code="merged"
                )


def _at(file: BinaryIO | FileIO, span: tuple[int, int]) -> bytes:
    """Return the bytes of a span of an open file."""
    file.seek(span[0])
    return file.read(span[1] - span[0])


def require_same_bytes(pair: TensorPair) -> str:
    """Require that a tensor has the bytes of the base, and return its name.

    Raises:
        ProofError: the bytes differ.
    """
    size = pair.size(pair.merged)  # the merged file may have fewer rows, but no rows that the base lacks
    same = pair.base.types[pair.base_name] == pair.merged.types[pair.name] and size <= pair.size(pair.base)
    if same:
        with open_unnoticed(pair.base.path) as one, open_unnoticed(pair.merged.path) as other:
            one.seek(pair.base.offsets[pair.base_name])
            other.seek(pair.merged.offsets[pair.name])
            for start in range(0, size, PIECE_BYTES):
                count = min(PIECE_BYTES, size - start)
                piece = one.read(count)
                same = same and len(piece) == count and piece == other.read(count)
    if not same:
        raise ProofError(
            "The tensor was not trained, but differs from that of the base.",
            where=f"{pair.merged.path}: {pair.name}",
            code="merged",
        )
    return pair.name


def rows_of_both(pair: TensorPair) -> Iterator[tuple[int, Float32, Float32]]:
    """Yield rows of a weight as both files hold them, with the first row, counted over all its matrices."""
    rows = pair.shape[-2]
    count = math.prod(pair.shape[:-1])
    step = max(PIECE_NUMBERS // pair.columns, 1)
    with open_unnoticed(pair.base.path) as one, open_unnoticed(pair.merged.path) as other:
        for first in range(0, count, rows):
            for start in range(first, first + rows, step):
                end = min(start + step, first + rows)
                before = _rows(one, pair.base, pair, start, end)
                yield start, before, _rows(other, pair.merged, pair, start, end)


def _rows(file: FileIO, header: GgufFile, pair: TensorPair, start: int, end: int) -> Float32:
    """Return some rows of a tensor of a file; rows that the file lacks are zeros."""
    there = math.prod(header.shapes[pair.name_in(header)]) // pair.columns
    last = min(max(start, there), end)
    raw = _raw_rows(file, header, pair, start, last)
    held = read_blocks(raw, header.types[pair.name_in(header)], pair.columns)
    new = np.zeros((end - last, pair.columns), np.float32)
    return held if last == end else np.concatenate((held, new))


def _raw_rows(file: FileIO, header: GgufFile, pair: TensorPair, start: int, end: int) -> Bytes:
    """Return the bytes of some rows of a tensor of a file."""
    name = pair.name_in(header)
    size = nbytes_of(header.types[name], (pair.columns,))
    first = header.offsets[name] + start * size
    return np.frombuffer(_at(file, (first, first + (end - start) * size)), np.uint8)


def witness_rows(pair: TensorPair) -> None:
    """Require that some rows of both files are the numbers that the gguf library reads.

    Raises:
        ProofError: a number differs.
    """
    count = min(math.prod(pair.shape[:-1]), math.prod(pair.base.shapes[pair.base_name]) // pair.columns)
    for row in np.random.default_rng().integers(0, count, WITNESSED_ROWS):
        for header in (pair.base, pair.merged):
            kind = header.types[pair.name_in(header)]
            with open_unnoticed(header.path) as file:
                raw = _raw_rows(file, header, pair, int(row), int(row) + 1)
            ours, theirs = (read(raw, kind, pair.columns) for read in (read_blocks, read_by_library))
            if not np.array_equal(ours, theirs):
                raise ProofError(
                    f"ollama-pack reads row {row} of the tensor differently from the gguf library.",
                    where=f"{header.path}: {pair.name_in(header)}",
                    hint=f"report it: ollama_pack/gguf/blocks.py reads {type_name(kind)} wrongly",
                    code="merged",
                )
