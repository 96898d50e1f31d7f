"""Tensors made from tensors, each against its formula in float64."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora import algebra

sizes = st.integers(1, 5)
RANDOM = np.random.default_rng(7)


def tensor(*shape, name="x"):
    numbers = RANDOM.normal(0, 1, shape).astype(np.float32)
    return LazyTensor(Path("file"), name, shape, (), lambda: numbers)


def exact(each):
    """Return the numbers of a tensor in float64; they have the shape that it claims."""
    with TensorReader() as weights:
        numbers = weights.float32(each)
    assert isinstance(each, LazyTensor)
    made = each.compute(*(exact(part).astype(np.float32) for part in each.inputs))
    assert np.asarray(made).shape == tuple(each.shape)
    return numbers.astype(np.float64)


def same(found, wanted):
    np.testing.assert_array_equal(exact(found), wanted)


def close(found, wanted):
    np.testing.assert_allclose(exact(found), wanted, rtol=1e-6, atol=1e-7)


def test_made_tensors_know_their_origin():
    """A made tensor says which file and tensor its first part is, and what it is made from."""
    one, two = tensor(2, 3, name="one"), tensor(2, name="two")
    found = algebra.scale_rows_by_tensor(one, two)
    assert (found.path, found.name, found.shape, found.inputs) == (Path("file"), "one", (2, 3), (one, two))


@pytest.mark.parametrize("shape", [(2, 3), (4, 2, 3)], ids=["a matrix", "a stack of experts"])
def test_transposed(shape):
    """The last two dimensions are swapped, twice is once more the same."""
    each = tensor(*shape)
    same(algebra.transpose(each), exact(each).swapaxes(-1, -2))
    same(algebra.transpose(algebra.transpose(each)), exact(each))


def test_reshaped_and_cut():
    """The numbers stay in their order, and a corner begins at the first."""
    each = tensor(4, 6)
    same(algebra.reshape(each, (2, 2, 6)), exact(each).reshape(2, 2, 6))
    same(algebra.first_rows_columns(each, 3, 2), exact(each)[:3, :2])


@pytest.mark.parametrize("vector", [(3,), (3, 1)], ids=["as VeRA keeps it", "as AdaLoRA keeps it"])
def test_rows_times(vector):
    """Each row is multiplied with its number: diag(v) · M."""
    each, by = tensor(3, 5), tensor(*vector)
    close(algebra.scale_rows_by_tensor(each, by), np.diag(exact(by).ravel()) @ exact(each))


def test_times():
    """A number multiplies all; 1 leaves the very tensor."""
    each = tensor(3, 5)
    close(algebra.scale_by(each, -0.3), exact(each) * -0.3)
    assert algebra.scale_by(each, 1.0) is each


@given(sizes, sizes, sizes, sizes)
def test_crossed_factors_multiply_elementwise(out, width, first, second):
    """Rows and columns crossed give the elementwise product of two products."""
    p, q, r, s = tensor(out, first), tensor(first, width), tensor(out, second), tensor(second, width)
    found = exact(algebra.rows_crossed(p, r)) @ exact(algebra.columns_crossed(q, s))
    wanted = (exact(p) @ exact(q)) * (exact(r) @ exact(s))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param((2, 3), (3, 2), id="two matrices"),
        pytest.param(2, (3, 2), id="an identity on the left"),
        pytest.param((2, 3), 4, id="an identity on the right"),
    ],
)
def test_kronecker(left, right):
    """It is numpy's Kronecker product in float64; a number stands for the identity."""
    sides = [side if isinstance(side, int) else tensor(*side) for side in (left, right)]
    close(
        algebra.kronecker(*sides),
        np.kron(*(np.eye(side) if isinstance(side, int) else exact(side) for side in sides)),
    )


@given(sizes, sizes, sizes, sizes)
def test_experts_as_peft_multiplies_them(experts, rank, out, width):
    """One matrix an expert gives what PEFT's einsum gives of the two that hold all experts."""
    a, b = tensor(experts * rank, width), tensor(out, rank * experts)
    found = exact(algebra.expert_b(b, experts)) @ exact(algebra.expert_a(a, experts))
    wanted = np.einsum(
        "o r e, e r i -> e o i",
        exact(b).reshape(out, rank, experts),
        exact(a).reshape(experts, rank, width),
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("axis", [-1, -2])
def test_joined(axis):
    """Matrices lie side by side or below each other, those of experts too; one alone is itself."""
    parts = [tensor(2, 3, 4), tensor(2, 3, 4)]
    same(algebra.concatenate(parts, axis), np.concatenate([exact(part) for part in parts], axis))
    assert algebra.concatenate(parts[:1], axis) is parts[0]


@given(st.lists(st.none() | st.tuples(sizes, sizes), min_size=1, max_size=4).filter(any))
def test_stacked(shapes):
    """Each matrix is in the corner of its place, and all else is zero."""
    tensors = [shape and tensor(*shape) for shape in shapes]
    wanted = np.zeros((len(shapes), 5, 5))
    for place, each in enumerate(tensors):
        if each is not None:
            wanted[place, : each.shape[0], : each.shape[1]] = exact(each)
    same(algebra.stack_padded(tensors, (5, 5)), wanted)
