"""PROVE  how much of the trained change a merged GGUF keeps, for every weight, and that nothing else changed.

The merged file and the base are read again from disk. What a weight should have gained is made from the
adapter by `reference`, which states llama.cpp's layout by itself; this proof shares no code with what planned
and wrote the file. For each touched weight, with D = W' − W as the files hold it and R = ΔW as PEFT means it:

    gain   = ⟨D, R⟩ / ⟨R, R⟩        the share of ΔW that is there along itself; 1 is all of it
    cosine = ⟨D, R⟩ / (‖D‖ ‖R‖)     the share of what is there that is ΔW
    noise  = ‖D − R‖ / ‖W‖          what the rounding of the type added, relative to the weight

Every other tensor must have the very bytes of the base.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ollama_pack.base.model import BaseModel
from ollama_pack.errors import ProofError
from ollama_pack.files import Progress
from ollama_pack.gguf.blocks import read_blocks, type_name
from ollama_pack.gguf.ggml_types import nbytes_of
from ollama_pack.gguf.reader import GgufFile, read_gguf
from ollama_pack.gguf.split import read_parts
from ollama_pack.gguf.tensor_data import Float32, TensorReader, keep_freed_memory
from ollama_pack.lora.adapter import Adapter
from ollama_pack.verify.kept import MergeReport, ScalarProducts
from ollama_pack.verify.reference import Reference, find_references
from ollama_pack.verify.result import ProofResult

LEAST_KEPT = 0.9
"""The gain below which the proof fails, unless the user sets another limit. It fails above 1.1 too."""

PIECE_NUMBERS = 1 << 19
"""Numbers of a weight that are compared at a time."""

PIECE_BYTES = 4 << 20
"""Bytes of an untouched tensor that are compared at a time."""

THREADS = 2
ALLOWED_KEYS = ("general.", "split.", "tokenizer.chat_template", "ollama_pack.")
"""Beginnings of the keys that may differ from the base's: what names the model, its parts and its prompt."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A tensor in both files.

    Attributes:
        name: its name.
        base: the header of the file, or part, of the base that has it.
        merged: the header of the merged file.
    """

    name: str
    base: GgufFile
    merged: GgufFile

    @property
    def columns(self) -> int:
        """Return the length of a row."""
        return self.base.shapes[self.name][-1]

    def size(self, file: GgufFile) -> int:
        """Return the size of the tensor in a file, in bytes."""
        return nbytes_of(file.types[self.name], file.shapes[self.name])


def prove_merged(
    adapter: Adapter,
    base: BaseModel,
    path: Path,
    *,
    least: float = LEAST_KEPT,
    progress: Progress | None = None,
) -> MergeReport:
    """Return how much of an adapter's ΔW a merged file keeps, and compare everything else with the base.

    Args:
        adapter: the adapter as it was read.
        base: its base, which is a GGUF file.
        path: the merged file.
        least: the smallest gain of a weight that passes; the largest is as far above 1.
        progress: called while the files are read.

    Raises:
        InputError: one of the files is damaged.
        ProofError: a tensor or a key that should be the base's is not, or the file lacks one.
    """
    assert base.gguf is not None, "only a file can be merged into"
    keep_freed_memory()
    parts, merged = read_parts(base.gguf), read_gguf(path)
    pairs = _pairs(parts, merged)
    _compare_keys(parts[0], merged)
    references = {reference.tensor: reference for reference in find_references(adapter, base)}
    missing = references.keys() - pairs.keys()
    if missing:
        raise ProofError(f"The merged file has no {sorted(missing)[0]}.", where=path, code="merged")
    untouched = [pair for name, pair in pairs.items() if name not in references]
    with ThreadPoolExecutor(THREADS, "merged") as pool:
        for done, pair in enumerate(pool.map(_require_same_bytes, untouched)):
            if progress is not None:
                progress(f"comparing {pair} with the base", done + 1, len(untouched))
        shares = [list(references.values())[first::THREADS] for first in range(THREADS)]
        measured = pool.map(partial(_measure_all, pairs), shares)
        sums = {name: found for share in measured for name, found in share.items()}
    return _judge([(pairs[name], sums[name]) for name in references], len(untouched), least)


def _pairs(parts: Sequence[GgufFile], merged: GgufFile) -> dict[str, _Pair]:
    """Return every tensor of the base with that of the merged file, which must be the same ones."""
    pairs = {name: _Pair(name, part, merged) for part in parts for name in part.shapes}
    for name in pairs.keys() ^ merged.shapes.keys():
        raise ProofError(
            "The tensor is in only one of the two files.", where=f"{merged.path}: {name}", code="merged"
        )
    for name, pair in pairs.items():
        if pair.base.shapes[name] != merged.shapes[name]:
            raise ProofError(
                f"The tensor is {merged.shapes[name]}, and {pair.base.shapes[name]} in the base.",
                where=f"{merged.path}: {name}",
                code="merged",
            )
    return pairs


def _compare_keys(base: GgufFile, merged: GgufFile) -> None:
    """Require the keys of the base, byte for byte, but for those that name the model and its prompt."""
    with base.path.open("rb") as one, merged.path.open("rb") as other:
        for key in sorted(base.spans.keys() | merged.spans.keys()):
            if key.startswith(ALLOWED_KEYS):
                continue
            both = key in base.spans and key in merged.spans
            if not both or _at(one, base.spans[key]) != _at(other, merged.spans[key]):
                raise ProofError(
                    "The key is not that of the base.", where=f"{merged.path}: {key}", code="merged"
                )


def _at(file: BinaryIO | FileIO, span: tuple[int, int]) -> bytes:
    """Return the bytes of a span of an open file."""
    file.seek(span[0])
    return file.read(span[1] - span[0])


def _require_same_bytes(pair: _Pair) -> str:
    """Require that a tensor has the bytes of the base, and return its name."""
    size = pair.size(pair.base)
    same = pair.base.types[pair.name] == pair.merged.types[pair.name]
    if same:
        with pair.base.path.open("rb") as one, pair.merged.path.open("rb") as other:
            one.seek(pair.base.offsets[pair.name])
            other.seek(pair.merged.offsets[pair.name])
            for start in range(0, size, PIECE_BYTES):
                count = min(PIECE_BYTES, size - start)
                piece = one.read(count)
                same = same and len(piece) == count and piece == other.read(count)
    if not same:
        raise ProofError(
            "The tensor was not trained, and is not that of the base.",
            where=f"{pair.merged.path}: {pair.name}",
            code="merged",
        )
    return pair.name


def _measure_all(pairs: Mapping[str, _Pair], references: Sequence[Reference]) -> dict[str, ScalarProducts]:
    """Return the sums of each weight, with every file of the adapter opened once."""
    with TensorReader() as source:
        return {
            reference.tensor: _measure(pairs[reference.tensor], reference, source) for reference in references
        }


def _measure(pair: _Pair, reference: Reference, source: TensorReader) -> ScalarProducts:
    """Return the sums of one weight."""
    a, b = reference.factors(source, 1.0)
    left, right = (a, b.T) if reference.is_embedding else (b, a)
    rows = pair.base.shapes[pair.name][-2]
    sums = ScalarProducts()
    for start, before, after in _rows_of_both(pair):
        expert, row = divmod(start, rows)
        these, those = (left[expert], right[expert]) if left.ndim > 2 else (left, right)
        sums.add(before, after, these[row : row + len(before)] @ those)
    return sums


def _rows_of_both(pair: _Pair) -> Iterator[tuple[int, Float32, Float32]]:
    """Yield rows of a weight as both files hold them, with the first row, counted over all its matrices."""
    rows = pair.base.shapes[pair.name][-2]
    count = math.prod(pair.base.shapes[pair.name][:-1])
    step = max(PIECE_NUMBERS // pair.columns, 1)
    with pair.base.path.open("rb", buffering=0) as one, pair.merged.path.open("rb", buffering=0) as other:
        for first in range(0, count, rows):
            for start in range(first, first + rows, step):
                end = min(start + step, first + rows)
                before = _rows(one, pair.base, pair, start, end)
                yield start, before, _rows(other, pair.merged, pair, start, end)


def _rows(file: FileIO, header: GgufFile, pair: _Pair, start: int, end: int) -> Float32:
    """Return some rows of a tensor of a file."""
    kind = header.types[pair.name]
    size = nbytes_of(kind, (pair.columns,))
    first = header.offsets[pair.name] + start * size
    raw = _at(file, (first, first + (end - start) * size))
    return read_blocks(np.frombuffer(raw, np.uint8), kind, pair.columns)


def _judge(measured: Sequence[tuple[_Pair, ScalarProducts]], untouched: int, least: float) -> MergeReport:
    """Return the report of all weights."""
    total = ScalarProducts()
    weights = []
    for pair, sums in measured:
        total.join(sums)
        kinds = [type_name(file.types[pair.name]) for file in (pair.base, pair.merged)]
        types = kinds[0] if kinds[0] == kinds[1] else " → ".join(kinds)
        weights.append(sums.kept(pair.name, types, pair.size(pair.merged), pair.size(pair.base)))
    overall = total.kept(
        "", "", sum(each.nbytes for each in weights), sum(each.base_nbytes for each in weights)
    )
    worst = max(weights, key=lambda each: math.inf if math.isnan(each.gain) else abs(each.gain - 1))
    passed = abs(worst.gain - 1) <= 1 - least  # a NaN fails
    summary = (
        f"{len(weights)} weights keep {100 * overall.gain:.1f} % of ΔW (the worst {100 * worst.gain:.1f} %, "
        f"limit {100 * least:.0f} %), cosine {overall.cosine:.3f}, noise {overall.noise:.1e} of the weights; "
        f"{untouched} other tensors are the base's, byte for byte"
        if passed
        else f"{worst.tensor} keeps {100 * worst.gain:.1f} % of its ΔW (limit {100 * least:.0f} %)"
    )
    result = ProofResult("merged", passed, worst.gain, least, summary, worst.tensor)
    return MergeReport(result, tuple(weights), overall, untouched)
