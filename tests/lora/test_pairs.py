"""Pairs made from pairs: every one against the dense ΔW it must have."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora import pairs
from ollama_pack.lora.adapter import LoraPair
from ollama_pack.lora.algebra import first_rows_columns

RANDOM = np.random.default_rng(5)
OUT, WIDTH = 7, 5

terms = st.lists(st.tuples(st.integers(1, 4), st.sampled_from([0.0, 1.0, 2.5, -3.0, 1e-3])), min_size=1)


def tensor(*shape):
    numbers = RANDOM.normal(0, 1, shape).astype(np.float32)
    return LazyTensor(Path("x"), "x", shape, (), lambda: numbers)


def pair(rank=2, alpha=3.0, stack=()):
    return LoraPair("m", tensor(*stack, rank, WIDTH), tensor(*stack, OUT, rank), alpha)


def delta(each):
    """Return ΔW in float64."""
    with TensorReader() as weights:
        a, b = (weights.float32(side).astype(np.float64) for side in (each.a, each.b))
    return each.scale * (b @ a)


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * (np.abs(wanted).max() + 1e-30))


@pytest.mark.parametrize("weight", [0.5, -2.0, 0.0])
def test_weighted(weight):
    """A weight is in alpha alone: no number of A or B is touched."""
    each = pair()
    found = pairs.scale_pair(each, weight)
    close(delta(found), weight * delta(each))
    assert (found.a, found.b) == (each.a, each.b)


@given(terms)
def test_sum(terms):
    """The sum has the sum of all ΔW and of all ranks, whatever their scales, zero among them."""
    each = [pair(rank, alpha) for rank, alpha in terms]
    found = pairs.sum_pairs(each)
    assert found.rank == sum(rank for rank, _ in terms)
    close(delta(found), sum(map(delta, each)))


def test_sum_of_experts():
    """Stacks are summed expert by expert."""
    each = [pair(2, 1.0, stack=(3,)), pair(1, 4.0, stack=(3,))]
    found = pairs.sum_pairs(each)
    assert (found.a.shape, found.b.shape) == ((3, 3, WIDTH), (3, OUT, 3))
    close(delta(found), sum(map(delta, each)))


def test_sum_of_one():
    """A sum of one is that one."""
    each = pair()
    assert pairs.sum_pairs([each]) is each


def test_most_common_scale_stays():
    """The scale most pairs have is kept, so that their numbers stay untouched; of equals the largest."""
    often, twice, once = pair(2, 4.0), pair(1, 2.0), pair(1, 9.0)
    found = pairs.sum_pairs([once, often, twice])
    assert found.scale == 2.0
    assert found.b.inputs[1:] == (often.b, twice.b)
    assert found.b.inputs[0] is not once.b
    assert pairs.sum_pairs([once, twice]).scale == 9.0


def test_sum_of_nothing():
    """Where every scale is zero the sum's is too."""
    found = pairs.sum_pairs([pair(2, 0.0), pair(1, 0.0)])
    assert (found.rank, found.alpha) == (3, 0.0)


@given(st.dictionaries(st.integers(0, 4), st.tuples(st.integers(1, 3), st.sampled_from([1.0, 2.0, 7.0])),
                       min_size=1))  # fmt: skip
def test_stack(given_pairs):
    """Each expert has the ΔW of its pair, and those without one have zero."""
    each = {expert: pair(rank, alpha) for expert, (rank, alpha) in given_pairs.items()}
    found = pairs.stack_pairs(each, 5)
    rank = max(rank for rank, _ in given_pairs.values())
    assert (found.a.shape, found.b.shape) == ((5, rank, WIDTH), (5, OUT, rank))
    for expert, matrix in enumerate(delta(found)):
        close(matrix, delta(each[expert]) if expert in each else np.zeros((OUT, WIDTH)))


def test_alpha_of_a_stack_is_kept_to_the_bit():
    """Where all experts have one alpha and rank, the stack's alpha is that very number."""
    assert pairs.stack_pairs({0: pair(7, 0.7), 1: pair(7, 0.7)}, 2).alpha == 0.7


@pytest.mark.parametrize("stack", [(), (3,)], ids=["a matrix", "experts"])
def test_flipped(stack):
    """The other way round is the transposed ΔW."""
    each = pair(stack=stack)
    close(delta(pairs.transpose_pair(each)), delta(each).swapaxes(-1, -2))


def test_fitted():
    """A pair that takes its size from the base gets the factors of that size; any other stays."""
    each = pair()
    assert pairs.fitted_pair(each, 5, 3) is each
    wide = each._replace(fit=lambda _, width: (first_rows_columns(each.a, each.rank, width), each.b))
    found = pairs.fitted_pair(wide, 0, 3)
    close(delta(found), delta(each)[:, :3])
    assert (found.b, found.fit) == (each.b, None)
