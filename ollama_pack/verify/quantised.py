"""Figures of a merged file that was quantised as a whole afterwards; the merge itself was proved before.

Every weight of such a file has the noise of its type, as in any quantised model, so no tensor has the bytes
of the base any more. What can be measured is the gain of ΔW over all weights together, which must be near 1.
"""

from pathlib import Path

from ollama_pack.base.model import BaseModel
from ollama_pack.errors import ProofError
from ollama_pack.gguf.blocks import type_name
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.gguf.split import read_parts
from ollama_pack.gguf.tensor_data import keep_freed_memory
from ollama_pack.jobs.several_cores import helpers_for
from ollama_pack.lora.adapter import Adapter
from ollama_pack.verify.kept import MergeReport, ScalarProducts
from ollama_pack.verify.merged import measure_all
from ollama_pack.verify.merged_files import compare_keys, pairs_of
from ollama_pack.verify.merged_rows import expected_rows
from ollama_pack.verify.result import ProofResult


def prove_quantised(adapter: Adapter, base: BaseModel, path: Path, *, least: float) -> MergeReport:
    """Return how much of an adapter's ΔW a file keeps that was merged and then quantised.

    Args:
        adapter: the adapter as it was read.
        base: its base, which is a GGUF file.
        path: the quantised file.
        least: the smallest gain of all weights together that passes; the largest is as far above 1.

    Raises:
        InputError: one of the files is damaged.
        ProofError: a tensor is missing, has another shape, or a key is not that of the base.
    """
    assert base.gguf is not None, "only a file can be merged into"
    keep_freed_memory()
    parts, written = read_parts(base.gguf), read_gguf(path)
    pairs = pairs_of(parts, written, adapter, base)
    compare_keys(parts[0], written, adapter)
    references = {each.tensor: each for each in expected_rows(adapter, base)}
    for name in references.keys() - pairs.keys():
        raise ProofError(f"The quantised file has no {name}.", where=path, code="merged")
    helpers = helpers_for(path.stat().st_size)
    total, weights = ScalarProducts(), []
    for name, sums in measure_all(pairs, list(references.values()), helpers).items():
        pair = pairs[name]
        total.join(sums)
        types = " → ".join(type_name(kind) for kind in (pair.base.types[pair.base_name], written.types[name]))
        weights.append(sums.kept(name, types, pair.size(written), pair.size(pair.base)))
    sizes = (sum(each.nbytes for each in weights), sum(each.base_nbytes for each in weights))
    whole = total.kept("", "", *sizes)
    summary = (
        f"{len(weights)} weights have {100 * whole.gain:.1f} % of ΔW along itself (limit {100 * least:.0f} "
        f"%), and noise {whole.noise:.1e} of the weights, which is that of their types: these are figures, "
        "and what was proved is the merge before"
    )
    passed = abs(whole.gain - 1) <= 1 - least  # a NaN does not pass
    result = ProofResult("quantised", passed, whole.gain, least, summary, "")
    return MergeReport(result, tuple(weights), whole, 0)
