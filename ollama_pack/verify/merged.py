"""Prove how much of the trained change a merged GGUF keeps, for every weight, and that nothing else changed.

The merged file and the base are read again from disk. What a weight should have gained is made from the
adapter by `reference`, which states llama.cpp's layout by itself; this proof shares no code with what planned
and wrote the file. For each touched weight, with D = W' − W as the files hold it and R = ΔW as PEFT means it
(for DoRA and whole weights: what PEFT makes of W, less W):

    gain   = ⟨D, R⟩ / ⟨R, R⟩        the share of ΔW that is there along itself; 1 is all of it
    cosine = ⟨D, R⟩ / (‖D‖ ‖R‖)     the share of what is there that is ΔW
    noise  = ‖D − R‖ / ‖W‖          what the rounding of the type added, relative to the weight

What a type's rounding cannot explain fails, too: a fault that is orthogonal to ΔW leaves the gain at 1.

Every other tensor must have the very bytes of the base. Merging and this proof read blocks by the same code,
which is faster than the gguf library's; so rows of each weight, drawn anew each time, are read by the library
too, and must be the same numbers.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ollama_pack.base.model import BaseModel
from ollama_pack.disk.files import Progress
from ollama_pack.errors import ProofError
from ollama_pack.gguf.blocks import type_name
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.gguf.split import read_parts
from ollama_pack.gguf.tensor_data import TensorReader, keep_freed_memory
from ollama_pack.gguf.tensors import StoredTensor
from ollama_pack.jobs.several_cores import Codec, Job, done_in_order, helpers_for
from ollama_pack.lora.adapter import Adapter
from ollama_pack.verify.kept import KeptChange, MergeReport, ScalarProducts
from ollama_pack.verify.merged_files import (
    TensorPair,
    compare_keys,
    pairs_of,
    require_same_bytes,
    rows_of_both,
    witness_rows,
)
from ollama_pack.verify.merged_rows import ExpectedRows, expected_rows
from ollama_pack.verify.result import ProofResult

LEAST_KEPT = 0.9
"""The gain below which the proof fails, unless the user sets another limit. It fails above 1.1 too."""

LARGEST_MISS = {"F32": 1e-5, "F16": 1e-3, "BF16": 5e-3, "Q8_0": 2e-2}
"""Type of a merged weight → how far it may be from W + ΔW, relative to both lengths, by its rounding.

Half a unit of the last place, and for Q8_0 the worst block there is: one large number among 31 zeros. The
types of fewer bits have no such limit; what they lose is the gain."""

SAME_BYTES = Codec(str.encode, bytes.decode)
MEASURED = Codec(ScalarProducts.pack, ScalarProducts.unpack)


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
    pairs = pairs_of(parts, merged, adapter, base)
    compare_keys(parts[0], merged, adapter)
    references = {each.tensor: each for each in expected_rows(adapter, base)}
    missing = references.keys() - pairs.keys()
    if missing:
        what = f"The merged file has no tensor {sorted(missing)[0]}, which the adapter changes."
        raise ProofError(what, where=path, code="merged")
    untouched = [pair for name, pair in pairs.items() if name not in references]
    helpers = helpers_for(path.stat().st_size)
    compared = done_in_order(
        [Job(partial(require_same_bytes, pair)) for pair in untouched], SAME_BYTES, helpers
    )
    with contextlib.closing(compared):
        for done, name in enumerate(compared):
            if progress is not None:
                progress(f"comparing {name} with the base", done + 1, len(untouched))
    sums = measure_all(pairs, list(references.values()), helpers)
    return _judge([(pairs[name], sums[name]) for name in references], len(untouched), least)


def measure_all(
    pairs: Mapping[str, TensorPair], references: Sequence[ExpectedRows], helpers: int
) -> dict[str, ScalarProducts]:
    """Return the scalar products of each weight; `helpers` other processes or threads take part."""
    jobs = [
        Job(
            partial(_measure, pairs[each.tensor], each),
            all(isinstance(given.numbers, StoredTensor) for given in each.given),  # only we can ask PEFT
        )
        for each in references
    ]
    with contextlib.closing(done_in_order(jobs, MEASURED, helpers)) as sums:
        return dict(zip((each.tensor for each in references), sums, strict=True))


def _measure(pair: TensorPair, expected: ExpectedRows) -> ScalarProducts:
    """Return the scalar products of one weight."""
    reference, sums = expected.reference, ScalarProducts()
    left = right = np.zeros((0, 0), np.float32)
    if reference is not None:
        with TensorReader() as source:
            a, b = reference.factors(source, 1.0)
        left, right = (a, b.T) if reference.is_embedding else (b, a)
    whole = [given for given in expected.given if given.what not in ("dora", "lora-bias")]
    later = [given for given in expected.given if given not in whole]
    rows = pair.shape[-2]
    for start, before, after in rows_of_both(pair):
        expert, row = divmod(start, rows)
        made, change = before, None
        for given in whole:
            made = given.apply(made, row)
        if reference is not None:
            these, those = (left[expert], right[expert]) if left.ndim > 2 else (left, right)
            change = these[row : row + len(before)] @ those
        if change is None or expected.given:
            made = made if change is None else made + change
            for given in later:
                made = given.apply(made, row)
            change = made - before
        sums.add(before, after, change)
    witness_rows(pair)
    return sums


def _judge(
    measured: Sequence[tuple[TensorPair, ScalarProducts]], untouched: int, least: float
) -> MergeReport:
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
            wrong.append((kept, f"is off by {off:.1e} of its norm (limit {limit:.0e} for {kinds[1]})"))
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
