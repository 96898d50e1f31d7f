"""PROVE  how much of the trained change a merged GGUF keeps, for every weight, and that nothing else changed.

The merged file and the base are read again from disk. What a weight should have gained is made from the
adapter by `reference`, which states llama.cpp's layout by itself; this proof shares no code with what planned
and wrote the file. For each touched weight, with D = W' − W as the files hold it and R = ΔW as PEFT means it
(for DoRA and whole weights: what PEFT makes of W, less W):

    gain   = ⟨D, R⟩ / ⟨R, R⟩        the share of ΔW that is there along itself; 1 is all of it
    cosine = ⟨D, R⟩ / (‖D‖ ‖R‖)     the share of what is there that is ΔW
    noise  = ‖D − R‖ / ‖W‖          what the rounding of the type added, relative to the weight

What a type's rounding cannot explain fails, too: a fault that is orthogonal to ΔW leaves the gain at 1.

Every other tensor must have the very bytes of the base.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
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
from ollama_pack.verify.kept import KeptChange, MergeReport, ScalarProducts
from ollama_pack.verify.merged_rows import (
    EMBEDDING_WEIGHT,
    HEAD_WEIGHT,
    ExpectedRows,
    expected_rows,
    needs_own_head,
)
from ollama_pack.verify.result import ProofResult

LEAST_KEPT = 0.9
"""The gain below which the proof fails, unless the user sets another limit. It fails above 1.1 too."""

LARGEST_MISS = {"F32": 1e-5, "F16": 1e-3, "BF16": 5e-3, "Q8_0": 2e-2}
"""Type of a merged weight → how far it may be from W + ΔW, relative to both lengths, by its rounding.

Half a unit of the last place, and for Q8_0 the worst block there is: one large number among 31 zeros. The
types of fewer bits have no such limit; what they lose is the gain."""

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
        name: its name in the merged file.
        base: the header of the file, or part, of the base that has it.
        merged: the header of the merged file.
        base_name: its name in the base.
    """

    name: str
    base: GgufFile
    merged: GgufFile
    base_name: str

    def name_in(self, file: GgufFile) -> str:
        """Return its name in one of the two files."""
        return self.name if file is self.merged else self.base_name

    @property
    def shape(self) -> tuple[int, ...]:
        """Return its shape in the base, rows and columns last; each number of a vector is a row."""
        shape = self.base.shapes[self.base_name]
        return shape if len(shape) > 1 else (*shape, 1)

    @property
    def columns(self) -> int:
        """Return the length of a row."""
        return self.shape[-1]

    def size(self, file: GgufFile) -> int:
        """Return the size of the tensor in a file, in bytes."""
        name = self.name_in(file)
        return nbytes_of(file.types[name], file.shapes[name])


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
    pairs = pairs_of(parts, merged, own_head=needs_own_head(adapter, base))
    compare_keys(parts[0], merged)
    references = {each.tensor: each for each in expected_rows(adapter, base)}
    missing = references.keys() - pairs.keys()
    if missing:
        raise ProofError(f"The merged file has no {sorted(missing)[0]}.", where=path, code="merged")
    untouched = [pair for name, pair in pairs.items() if name not in references]
    with ThreadPoolExecutor(THREADS, "merged") as pool:
        for done, pair in enumerate(pool.map(_require_same_bytes, untouched)):
            if progress is not None:
                progress(f"comparing {pair} with the base", done + 1, len(untouched))
        shares = [list(references.values())[first::THREADS] for first in range(THREADS)]
        measured = pool.map(partial(measure_all, pairs), shares)
        sums = {name: found for share in measured for name, found in share.items()}
    return _judge([(pairs[name], sums[name]) for name in references], len(untouched), least)


def pairs_of(parts: Sequence[GgufFile], merged: GgufFile, *, own_head: bool) -> dict[str, _Pair]:
    """Return every tensor of the base with that of the merged file, which must be the same ones.

    With `own_head` the merged file has one more, which is made of the embeddings.
    """
    pairs = {name: _Pair(name, part, merged, name) for part in parts for name in part.shapes}
    if own_head:
        pairs[HEAD_WEIGHT] = replace(pairs[EMBEDDING_WEIGHT], name=HEAD_WEIGHT)
    for name in pairs.keys() ^ merged.shapes.keys():
        raise ProofError(
            "The tensor is in only one of the two files.", where=f"{merged.path}: {name}", code="merged"
        )
    for name, pair in pairs.items():
        if pair.base.shapes[pair.base_name] != merged.shapes[name]:
            raise ProofError(
                f"The tensor is {merged.shapes[name]}, and {pair.base.shapes[pair.base_name]} in the base.",
                where=f"{merged.path}: {name}",
                code="merged",
            )
    return pairs


def compare_keys(base: GgufFile, merged: GgufFile) -> None:
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
    same = pair.base.types[pair.base_name] == pair.merged.types[pair.name]
    if same:
        with pair.base.path.open("rb") as one, pair.merged.path.open("rb") as other:
            one.seek(pair.base.offsets[pair.base_name])
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


def measure_all(pairs: Mapping[str, _Pair], references: Sequence[ExpectedRows]) -> dict[str, ScalarProducts]:
    """Return the sums of each weight, with every file of the adapter opened once."""
    with TensorReader() as source:
        return {
            reference.tensor: _measure(pairs[reference.tensor], reference, source) for reference in references
        }


def _measure(pair: _Pair, expected: ExpectedRows, source: TensorReader) -> ScalarProducts:
    """Return the sums of one weight."""
    reference, sums = expected.reference, ScalarProducts()
    left = right = np.zeros((0, 0), np.float32)
    if reference is not None:
        a, b = reference.factors(source, 1.0)
        left, right = (a, b.T) if reference.is_embedding else (b, a)
    whole = [given for given in expected.given if given.what not in ("dora", "lora-bias")]
    later = [given for given in expected.given if given not in whole]
    rows = pair.shape[-2]
    for start, before, after in _rows_of_both(pair):
        expert, row = divmod(start, rows)
        made = before
        for given in whole:
            made = given.apply(made, row)
        if reference is not None:
            these, those = (left[expert], right[expert]) if left.ndim > 2 else (left, right)
            made = made + these[row : row + len(before)] @ those
        for given in later:
            made = given.apply(made, row)
        sums.add(before, after, made - before)
    return sums


def _rows_of_both(pair: _Pair) -> Iterator[tuple[int, Float32, Float32]]:
    """Yield rows of a weight as both files hold them, with the first row, counted over all its matrices."""
    rows = pair.shape[-2]
    count = math.prod(pair.shape[:-1])
    step = max(PIECE_NUMBERS // pair.columns, 1)
    with pair.base.path.open("rb", buffering=0) as one, pair.merged.path.open("rb", buffering=0) as other:
        for first in range(0, count, rows):
            for start in range(first, first + rows, step):
                end = min(start + step, first + rows)
                before = _rows(one, pair.base, pair, start, end)
                yield start, before, _rows(other, pair.merged, pair, start, end)


def _rows(file: FileIO, header: GgufFile, pair: _Pair, start: int, end: int) -> Float32:
    """Return some rows of a tensor of a file."""
    name = pair.name_in(header)
    kind = header.types[name]
    size = nbytes_of(kind, (pair.columns,))
    first = header.offsets[name] + start * size
    raw = _at(file, (first, first + (end - start) * size))
    return read_blocks(np.frombuffer(raw, np.uint8), kind, pair.columns)


def _judge(measured: Sequence[tuple[_Pair, ScalarProducts]], untouched: int, least: float) -> MergeReport:
    """Return the report of all weights."""
    total = ScalarProducts()
    weights: list[KeptChange] = []
    wrong: list[tuple[KeptChange, str]] = []
    for pair, sums in measured:
        total.join(sums)
        kinds = [type_name(file.types[pair.name_in(file)]) for file in (pair.base, pair.merged)]
        types = kinds[0] if kinds[0] == kinds[1] else " → ".join(kinds)
        kept = sums.kept(pair.name, types, pair.size(pair.merged), pair.size(pair.base))
        weights.append(kept)
        off, limit = sums.miss, LARGEST_MISS.get(kinds[1], math.inf)
        if not abs(kept.gain - 1) <= 1 - least:  # a NaN is wrong too
            wrong.append((kept, f"keeps {100 * kept.gain:.1f} % of its ΔW (limit {100 * least:.0f} %)"))
        elif not off <= limit:
            wrong.append((kept, f"is off by {off:.1e} of its length (limit {limit:.0e} for {kinds[1]})"))
    overall = total.kept(
        "", "", sum(each.nbytes for each in weights), sum(each.base_nbytes for each in weights)
    )
    if wrong:
        worst, how = max(wrong, key=lambda each: _distance(each[0].gain))
        summary = f"{worst.tensor} {how}"
    else:
        worst = max(weights, key=lambda each: _distance(each.gain))
        summary = (
            f"{len(weights)} weights keep {100 * overall.gain:.1f} % of ΔW (the worst "
            f"{100 * worst.gain:.1f} %, limit {100 * least:.0f} %), cosine {overall.cosine:.3f}, noise "
            f"{overall.noise:.1e} of the weights; {untouched} other tensors are the base's, byte for byte"
        )
    result = ProofResult("merged", not wrong, worst.gain, least, summary, worst.tensor)
    return MergeReport(result, tuple(weights), overall, untouched)


def _distance(gain: float) -> float:
    """Return how far a gain is from 1; a NaN is farthest."""
    return math.inf if math.isnan(gain) else abs(gain - 1)
