"""The types that a size is spent on: it is never exceeded, and a greedy keeps no more."""

import itertools
import math
from dataclasses import replace

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ollama_pack.errors import UsageError
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.plan import LoraPlan, LoraTensor
from ollama_pack.merge import budget
from ollama_pack.merge.budget import Spending, TypeCost, spend_size, spendings
from ollama_pack.merge.plan import plan_merge
from ollama_pack.merge.write import merged_size, rest_of, write_merged

SHAPES = {
    "blk.0.attn_q": (24, 64),
    "blk.0.attn_v": (3, 96),
    "blk.1.ffn_up": (7, 32),
    "blk.1.ffn_down": (5, 20),
}
"""Weights of different sizes; no block fits into the rows of the last."""

costs = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 1000)),
    min_size=1,
    max_size=4,
    unique_by=lambda cost: cost[0],
)


def choices(weights):
    """Return the types of some weights, made of sizes and errors."""
    return [[TypeCost(size, size, float(error), 1.0) for size, error in each] for each in weights]


def smallest_of(hulls, rest=10):
    """Return the file in which each weight has its smallest type."""
    return Spending(rest + sum(hull[0].nbytes for hull in hulls), sum(hull[0].error for hull in hulls))


@pytest.mark.property
@given(weights=st.lists(costs, min_size=1, max_size=4), size=st.integers(0, 260))
def test_a_size_is_spent_well(weights, size):
    """It is never exceeded, no step that is left fits, and a file on the frontier is the best of its size."""
    types = choices(weights)
    hulls = [budget._hull(each) for each in types]
    smallest = smallest_of(hulls)
    if smallest.nbytes > size:
        return
    *_, best = spendings(hulls, smallest, size)
    assert best.nbytes <= size
    chosen = [hull[best.steps.get(place, 0)] for place, hull in enumerate(hulls)]
    assert best.nbytes == 10 + sum(cost.nbytes for cost in chosen)
    assert best.error == sum(cost.error for cost in chosen)
    for place, hull in enumerate(hulls):
        following = hull[best.steps.get(place, 0) + 1 :]
        assert all(best.nbytes - chosen[place].nbytes + cost.nbytes > size for cost in following)
    every = list(itertools.product(*types))
    for point in spendings(hulls, smallest, math.inf):
        rivals = [each for each in every if 10 + sum(cost.nbytes for cost in each) <= point.nbytes]
        assert point.error <= min(sum(cost.error for cost in each) for each in rivals)
        if point.nbytes <= size:
            assert best.error <= point.error


def plan_in(folder):
    """Return the plan of a merge that changes weights of several types and sizes."""
    writer, random = gguf.GGUFWriter(folder / "base.gguf", "llama"), np.random.default_rng(1)
    tensors = []
    for place, (name, shape) in enumerate(SHAPES.items()):
        kind = gguf.GGMLQuantizationType[("Q4_0", "Q4_1", "Q8_0", "F16")[place]]
        numbers = random.normal(0, 0.1, shape).astype(np.float32)
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(numbers, kind), raw_dtype=kind)
        for part, size in (("a", (2, shape[1])), ("b", (shape[0], 2))):
            held = random.normal(0, 0.05, size).astype(np.float32)
            lazy = LazyTensor(folder, part, size, (), lambda held=held: held)
            tensors.append(LoraTensor(f"{name}.weight.lora_{part}", lazy))
    writer.add_tensor("output.weight", np.ones((9, 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return read_gguf(folder / "base.gguf"), LoraPlan("llama", 2.0, tuple(tensors), {})


@pytest.mark.property
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1.2), least=st.sampled_from([0.0, 0.5, 0.9]))
def test_no_file_is_larger(tmp_path, share, least):
    """Whatever the size, the file that is written is within it, or the message names one that is enough."""
    header, lora = plan_in(tmp_path)
    plan = plan_merge((header,), lora, "auto")
    largest = merged_size(plan_merge((header,), lora, "f16"))
    size = int(largest * share)
    try:
        frontier = spend_size(plan, rest_of(plan), size, least)
    except UsageError as error:
        assert error.hint.startswith("--merge-size ")
        number = error.hint.removeprefix("--merge-size ")
        enough = int(float(number.rstrip("kMB")) * (1_000_000 if "M" in number else 1000))
        assert enough > size
        frontier = spend_size(plan, rest_of(plan), enough, least)
        size = enough
    made = replace(plan_merge((header,), lora, frontier.types), frontier=frontier)
    _, written = write_merged(made, tmp_path / "merged.gguf")
    assert written == (tmp_path / "merged.gguf").stat().st_size == merged_size(made)
    assert written <= frontier.points[frontier.chosen][0] <= size
    sizes, off = zip(*frontier.points, strict=True)
    assert sizes == tuple(sorted(sizes))
    assert off == tuple(sorted(off, reverse=True))
