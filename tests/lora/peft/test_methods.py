"""Every fold, against PEFT's own formula on dense matrices in float64."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.factors import FactorError
from ollama_pack.lora.peft.methods import METHODS

RANDOM = np.random.default_rng(11)


def tensor(numbers, name="x"):
    numbers = np.asarray(numbers, np.float32)
    return LazyTensor(Path("x"), name, numbers.shape, (), lambda: numbers)


def random(*shape):
    return RANDOM.normal(0, 1, shape).astype(np.float32)


def product(factors):
    """Return B·A in float64, of what a fold returns."""
    with TensorReader() as weights:
        a, b = (weights.float32(factor) for factor in factors[:2])
    assert (a.shape, b.shape) == (factors[0].shape, factors[1].shape)
    return b.astype(np.float64) @ a.astype(np.float64)


def folded(method, numbers, rank, module="m"):
    return METHODS[method].fold(module, {name: tensor(each, name) for name, each in numbers.items()}, rank)


def exact(numbers):
    return {name: each.astype(np.float64) for name, each in numbers.items()}


def test_lora():
    """LoRA is its own fold: the very tensors."""
    a, b = tensor(random(2, 5)), tensor(random(7, 2))
    assert METHODS["LORA"].fold("m", {"lora_A": a, "lora_B": b}, 2) == (a, b, None)


def test_adalora():
    """AdaLoRA is B·(A ∘ E), with a number of E for each row of A."""
    numbers = {"lora_A": random(3, 8), "lora_B": random(9, 3), "lora_E": random(3, 1)}
    n = exact(numbers)
    wanted = n["lora_B"] @ (n["lora_A"] * n["lora_E"])
    np.testing.assert_allclose(product(folded("ADALORA", numbers, 3)), wanted, rtol=1e-5, atol=1e-6)


def test_vera():
    """VeRA is (λb ∘ B)·(λd ∘ A) of the rows and columns that the weight has."""
    numbers = {
        "vera_A": random(4, 10), "vera_B": random(12, 4),
        "vera_lambda_d": random(4), "vera_lambda_b": random(9),
    }  # fmt: skip
    n = exact(numbers)
    wanted = (n["vera_lambda_b"][:, None] * n["vera_B"][:9]) @ (n["vera_lambda_d"][:, None] * n["vera_A"])
    np.testing.assert_allclose(product(folded("VERA", numbers, 4)), wanted, rtol=1e-5, atol=1e-6)


@given(st.integers(1, 3), st.integers(13, 20), st.integers(13, 20))
def test_loha(rank, out, width):
    """LoHa is the elementwise product of two products, whatever the sizes."""
    numbers = {
        "hada_w1_a": random(out, rank), "hada_w1_b": random(rank, width),
        "hada_w2_a": random(out, rank), "hada_w2_b": random(rank, width),
    }  # fmt: skip
    n = exact(numbers)
    if rank * rank * (out + width) > out * width:
        with pytest.raises(FactorError, match=f"rank {rank * rank}"):
            folded("LOHA", numbers, rank)
        return
    wanted = (n["hada_w1_a"] @ n["hada_w1_b"]) * (n["hada_w2_a"] @ n["hada_w2_b"])
    np.testing.assert_allclose(product(folded("LOHA", numbers, rank)), wanted, rtol=1e-4, atol=1e-5)


LOKR = {
    "a wide w1, w2 in two": {"lokr_w1": (2, 3), "lokr_w2_a": (9, 2), "lokr_w2_b": (2, 8)},
    "a tall w1, w2 in two": {"lokr_w1": (4, 2), "lokr_w2_a": (9, 2), "lokr_w2_b": (2, 8)},
    "both in two": {"lokr_w1_a": (4, 2), "lokr_w1_b": (2, 3), "lokr_w2_a": (9, 2), "lokr_w2_b": (2, 8)},
    "w1 in two, a small w2": {"lokr_w1_a": (9, 2), "lokr_w1_b": (2, 9), "lokr_w2": (3, 2)},
    "full sides that lie across": {"lokr_w1": (2, 5), "lokr_w2": (5, 2)},
    "a row and a column": {"lokr_w1": (1, 9), "lokr_w2": (9, 1)},
    "w1 in two, a wide w2": {"lokr_w1_a": (9, 2), "lokr_w1_b": (2, 9), "lokr_w2": (2, 4)},
}


@pytest.mark.parametrize("shapes", LOKR.values(), ids=LOKR)
def test_lokr(shapes):
    """LoKr is the Kronecker product of its two sides, whichever of them were trained as two factors."""
    numbers = {name: random(*shape) for name, shape in shapes.items()}
    n = exact(numbers)
    w1 = n["lokr_w1"] if "lokr_w1" in n else n["lokr_w1_a"] @ n["lokr_w1_b"]
    w2 = n["lokr_w2"] if "lokr_w2" in n else n["lokr_w2_a"] @ n["lokr_w2_b"]
    found = product(folded("LOKR", numbers, 2))
    np.testing.assert_allclose(found, np.kron(w1, w2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shapes", [((4, 4), (6, 6)), ((2, 5), (3, 7)), ((5, 2), (7, 3))])
def test_lokr_of_full_rank(shapes):
    """Two full sides that lie the same way have no factors smaller than the weight."""
    numbers = {"lokr_w1": random(*shapes[0]), "lokr_w2": random(*shapes[1])}
    with pytest.raises(FactorError) as caught:
        folded("LOKR", numbers, 8)
    assert caught.value.code == "full-rank"


MISFITS = {
    "LoRA of two ranks": ("LORA", {"lora_A": (2, 5), "lora_B": (7, 3)}, "shape"),
    "LoRA of another rank": ("LORA", {"lora_A": (3, 5), "lora_B": (7, 3)}, "rank"),
    "LoRA that is no matrix": ("LORA", {"lora_A": (2,), "lora_B": (7, 2)}, "shape"),
    "LoRA of other experts": ("LORA", {"lora_A": (3, 2, 5), "lora_B": (4, 7, 2)}, "shape"),
    "AdaLoRA with a long E": ("ADALORA", {"lora_A": (2, 5), "lora_B": (7, 2), "lora_E": (3, 1)}, "shape"),
    "AdaLoRA with a wide E": ("ADALORA", {"lora_A": (2, 5), "lora_B": (7, 2), "lora_E": (2, 2)}, "shape"),
    "AdaLoRA of another rank": ("ADALORA", {"lora_A": (3, 5), "lora_B": (7, 3), "lora_E": (3, 1)}, "rank"),
    "VeRA with more rows than B": (
        "VERA", {"vera_A": (2, 5), "vera_B": (7, 2), "vera_lambda_d": (2,), "vera_lambda_b": (8,)}, "shape",
    ),
    "VeRA of two ranks": (
        "VERA", {"vera_A": (2, 5), "vera_B": (7, 2), "vera_lambda_d": (3,), "vera_lambda_b": (7,)}, "shape",
    ),
    "VeRA of another rank": (
        "VERA", {"vera_A": (3, 5), "vera_B": (7, 3), "vera_lambda_d": (3,), "vera_lambda_b": (7,)}, "rank",
    ),
    "LoHa of another rank": (
        "LOHA", {"hada_w1_a": (20, 3), "hada_w1_b": (3, 20), "hada_w2_a": (20, 3), "hada_w2_b": (3, 20)},
        "rank",
    ),
    "LoHa of two shapes": (
        "LOHA", {"hada_w1_a": (20, 2), "hada_w1_b": (2, 20), "hada_w2_a": (21, 2), "hada_w2_b": (2, 20)},
        "shape",
    ),
    "LoKr of another rank": ("LOKR", {"lokr_w1": (2, 2), "lokr_w2_a": (9, 3), "lokr_w2_b": (3, 9)}, "rank"),
    "LoKr of two ranks": ("LOKR", {"lokr_w1": (2, 2), "lokr_w2_a": (9, 3), "lokr_w2_b": (2, 9)}, "shape"),
}  # fmt: skip


@pytest.mark.parametrize(("method", "shapes", "code"), MISFITS.values(), ids=MISFITS)
def test_misfits(method, shapes, code):
    """Tensors that do not make a weight are told under their rule, with the module."""
    with pytest.raises(FactorError, match=r"the\.module") as caught:
        folded(method, {name: random(*shape) for name, shape in shapes.items()}, 2, "the.module")
    assert caught.value.code == code


def test_parts_are_known():
    """Every method says which tensors it has, and which settings it computes with."""
    for method in METHODS.values():
        assert method.parts >= method.shared
        assert len(set(method.layouts)) == len(method.layouts)
        assert method.rank_key in method.defaults
        assert not method.alpha_key or method.alpha_key in method.defaults
