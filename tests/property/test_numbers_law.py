"""Laws of the numbers: scales may be folded and rows moved, ΔW stays; and the proof tells the truth."""

import numpy as np
import pytest
from gguf import GGUFReader
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import outtypes, recipes, written

from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.lora.export import write_lora
from ollama_pack.lora.planner import plan_lora
from ollama_pack.verify.numbers import LIMITS, ROUNDING, prove_numbers

pytestmark = pytest.mark.property
some = settings(max_examples=40)


@some
@given(recipes)
def test_folding_leaves_delta_alone(recipe):
    """The plan's alpha / rank · B · A is the adapter's scale · B · A, within a few float32 roundings."""
    with written(recipe) as (_, adapter):
        plan = plan_lora(adapter, recipe.base)
        with TensorReader() as weights:
            for pair, b in zip(adapter.pairs, plan.tensors[1::2], strict=True):
                exact = weights.float32(pair.b).astype(np.float64)
                rows = exact if b.rows is None else exact[list(b.rows)]
                planned = plan.alpha / pair.rank * b.factor * rows
                np.testing.assert_allclose(planned, pair.scale * rows, rtol=2.0**-22)


@some
@given(recipes)
def test_most_tensors_are_untouched(recipe):
    """The alpha that is written leaves at least as many B alone as any other would."""
    with written(recipe) as (_, adapter):
        plan = plan_lora(adapter, recipe.base)
        untouched = sum(tensor.factor == 1.0 for tensor in plan.tensors[1::2])
        alphas = [pair.alpha for pair in adapter.pairs]
        assert untouched >= max(alphas.count(alpha) for alpha in alphas)
        assert all(tensor.factor == 1.0 and tensor.rows is None for tensor in plan.tensors[::2])


def worst_case(adapter, plan, dtype):
    """Return the largest relative error of ΔW that rounding every number can make, over all weights.

    It is far above the limit only where the terms of B·A nearly cancel.
    """
    relative, absolute = ROUNDING[dtype]
    found = []
    with TensorReader() as weights:
        for pair, planned in zip(adapter.pairs, plan.tensors[1::2], strict=True):
            a, b = (weights.float32(tensor).astype(np.float64) for tensor in (pair.a, pair.b))
            off_a, off_b = relative * np.abs(a) + absolute, relative * np.abs(b) + absolute / planned.factor
            off = off_b @ (np.abs(a) + off_a) + np.abs(b) @ off_a
            found.append(np.linalg.norm(off) / np.linalg.norm(b @ a))
    return max(found)


@some
@given(recipes, outtypes)
def test_right_files_pass(recipe, outtype):
    """What was converted passes its proof; only where B·A cancels may rounding itself be too coarse."""
    with written(recipe) as (directory, adapter):
        path, plan = directory / "lora.gguf", plan_lora(adapter, recipe.base)
        write_lora(plan, path, outtype)
        report = prove_numbers(adapter, recipe.base, path)
        bound = worst_case(adapter, plan, outtype.upper())
        assert report.figure <= bound * 2**0.5  # the proof adds norms where rounding adds numbers
        assert report.passed or (bound > LIMITS[outtype.upper()] and report.summary.startswith("ΔW of "))


@some
@given(recipes, outtypes, st.data())
def test_any_wrong_number_fails(recipe, outtype, data):
    """Any number of any tensor, changed by more than rounding allows, is caught."""
    with written(recipe) as (directory, adapter):
        path = directory / "lora.gguf"
        write_lora(plan_lora(adapter, recipe.base), path, outtype)
        tensor = data.draw(st.sampled_from(GGUFReader(path, "r+").tensors), "tensor")
        place = data.draw(st.integers(0, tensor.data.size - 1), "place")
        number = tensor.data.reshape(-1)[place]
        tensor.data.reshape(-1)[place] = number * 1.01 if abs(number) > 1e-3 else number + 1e-2
        report = prove_numbers(adapter, recipe.base, path)
        assert not report.passed
        assert tensor.name.startswith(report.worst) or report.figure > LIMITS[outtype.upper()]
