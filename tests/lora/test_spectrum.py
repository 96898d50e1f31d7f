"""Sizes, singular values and angles of ΔW, checked against the ΔW itself."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.adapter import LoraPair
from ollama_pack.lora.spectrum import compare_pair, measure


def tensor(numbers: np.ndarray) -> LazyTensor:
    """Return a tensor that has these numbers."""
    return LazyTensor(Path("x"), "x", numbers.shape, (), lambda: numbers)


def pair(
    seed: int, *, rank: int = 3, out: int = 7, into: int = 5, experts: int = 0, alpha: float = 6.0
) -> LoraPair:
    """Return a pair with random factors."""
    random = np.random.default_rng(seed)
    front = (experts,) if experts else ()
    a = random.standard_normal((*front, rank, into)).astype(np.float32)
    b = random.standard_normal((*front, out, rank)).astype(np.float32)
    return LoraPair("model.layers.0.self_attn.q_proj", tensor(a), tensor(b), alpha)


def delta(each: LoraPair) -> np.ndarray:
    """Return ΔW."""
    return each.scale * (each.b.compute().astype(np.float64) @ each.a.compute().astype(np.float64))


SHAPES = [{}, {"rank": 1}, {"rank": 9}, {"out": 2}, {"into": 1}, {"alpha": -0.5}]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values(shape):
    """The singular values and the norm are those of the whole matrix."""
    one = pair(1, **shape)
    (found,) = measure((one,))
    values = np.linalg.svd(delta(one), compute_uv=False)
    count = min(len(values), len(found.values))
    assert np.allclose(found.values[:count], values[:count], rtol=1e-5, atol=1e-5 * values[0])
    assert np.allclose(found.values[count:], 0, atol=1e-5 * values[0])
    assert found.norm == pytest.approx(np.linalg.norm(delta(one)), rel=1e-5)
    assert (found.module, found.rank) == (one.module, one.rank)


def test_experts():
    """Of several experts the norm is that of all of them, and the values are their root mean square."""
    one = pair(2, experts=4)
    (found,) = measure((one,))
    each = np.linalg.svd(delta(one), compute_uv=False)
    assert found.norm == pytest.approx(np.linalg.norm(delta(one)), rel=1e-5)
    assert np.allclose(found.values, np.sqrt((each**2).mean(axis=0))[:3], rtol=1e-5)


def test_directions():
    """How many directions are used is how many have 99 % of the square; none where all is zero."""
    a = np.eye(4, 6, dtype=np.float32)
    b = np.eye(5, 4, dtype=np.float32) * np.array([10, 9, 0.1, 0], np.float32)
    (found,) = measure((LoraPair("m", tensor(a), tensor(b), 4.0),))
    assert (found.effective_rank, found.rank) == (2, 4)
    (nothing,) = measure((LoraPair("m", tensor(a), tensor(b * 0), 4.0),))
    assert (nothing.effective_rank, nothing.norm) == (0, 0.0)


@pytest.mark.property
@given(
    seeds=st.tuples(st.integers(0, 999), st.integers(0, 999)),
    ranks=st.tuples(st.integers(1, 8), st.integers(1, 8)),
)
def test_angle(seeds, ranks):
    """The cosine is that of the two whole matrices, whatever their ranks."""
    one, other = (pair(seed, rank=rank) for seed, rank in zip(seeds, ranks, strict=True))
    wanted = np.vdot(delta(one), delta(other)) / (np.linalg.norm(delta(one)) * np.linalg.norm(delta(other)))
    assert compare_pair(one, other)[2] == pytest.approx(wanted, abs=1e-6)


def test_angles_that_are_known():
    """The same turned around is −1, twice the same is 1; to nothing there is no angle."""
    one, nothing = pair(3), pair(3, alpha=0.0)
    assert compare_pair(one, one)[2] == pytest.approx(1.0)
    assert compare_pair(one, pair(3, alpha=-12.0))[2] == pytest.approx(-1.0)
    assert compare_pair(one, nothing)[2] is None
