"""Laws of the row orders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.arch.permutations import rope_permutation

pytestmark = pytest.mark.property

heads = st.integers(1, 64)
halves = st.integers(1, 128)


@given(heads, halves)
def test_bijection(heads, half):
    """Every row is named once."""
    assert sorted(rope_permutation(heads, 2 * half)) == list(range(heads * 2 * half))


@given(heads, halves)
def test_heads_stay(heads, half):
    """No row leaves its head, and every head is ordered like the first."""
    order = np.array(rope_permutation(heads, 2 * half)).reshape(heads, -1)
    first = np.array(rope_permutation(1, 2 * half))
    assert np.array_equal(order, first + 2 * half * np.arange(heads)[:, None])


@given(heads, halves)
def test_halves_become_neighbours(heads, half):
    """Two neighbours are an element of the first half and its partner of the second."""
    pairs = np.array(rope_permutation(heads, 2 * half)).reshape(-1, 2)
    assert (pairs[:, 1] - pairs[:, 0] == half).all()


@given(heads, halves, st.randoms(use_true_random=False))
def test_order_acts_on_b_alone(heads, half, random):
    """Ordering the rows of B orders the rows of B·A: the factor A need not know."""
    order = list(rope_permutation(heads, 2 * half))
    numbers = np.random.default_rng(random.getrandbits(32))
    b, a = numbers.integers(-9, 9, (len(order), 2)), numbers.integers(-9, 9, (2, 3))
    assert np.array_equal(b[order] @ a, (b @ a)[order])
