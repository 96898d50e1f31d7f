"""Folds of blocks, banks and spectra, against the methods' own formulas on dense matrices in float64."""

from pathlib import Path

import numpy as np
import pytest

from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.factors import FactorError
from ollama_pack.lora.peft.bank_methods import deal_vectors
from ollama_pack.lora.peft.fourier import first_of_permutation
from ollama_pack.lora.peft.methods import METHODS

RANDOM = np.random.default_rng(12)
OUT, IN = 12, 20


def tensor(numbers, name="x"):
    numbers = np.asarray(numbers, np.float32)
    return LazyTensor(Path("x"), name, numbers.shape, (), lambda: numbers)


def random(*shape):
    return RANDOM.normal(0, 1, shape).astype(np.float32)


def delta(method, numbers, rank, *, out=OUT, width=IN, module="m", **settings):
    """Return B·A in float64, of what a method makes for a weight of a size."""
    parts = {name: tensor(each, name) for name, each in numbers.items()}
    a, b, fit = METHODS[method].fold(module, parts, rank, **settings)
    if fit is not None:
        a, b = fit(out, width)
    with TensorReader() as weights:
        sides = [weights.float32(side).astype(np.float64) for side in (a, b)]
    assert [side.shape for side in sides] == [a.shape, b.shape]
    return sides[1] @ sides[0]


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["MISS", "BONE"])
@pytest.mark.parametrize("rank", [4, 7, 20])
def test_miss(method, rank):
    """Each column of ΔW is a row of the block, in turn; the last turn may be cut."""
    block = random(rank, OUT)
    (part,) = METHODS[method].parts
    wanted = np.stack([block[column % rank] for column in range(IN)], 1)
    close(delta(method, {part: block}, rank, init_weights=True), wanted)


def test_miss_mini():
    """The rows of the small form repeat."""
    block = random(4, 3)
    wanted = np.stack([np.tile(block[column % 4], OUT // 3) for column in range(IN)], 1)
    close(delta("MISS", {"miss_block": block}, 4, init_weights="mini"), wanted)


@pytest.mark.parametrize("short", [False, True], ids=["logits", "the best alone"])
def test_vblora(short):
    """A and B are mixtures of the bank's vectors by the softmax of the best logits."""
    bank, logits = random(9, 4), {"A": random(2, IN // 4, 9), "B": random(OUT // 4, 2, 9)}
    numbers, dense = {"vblora_vector_bank": bank}, {}
    for side, each in logits.items():
        best = np.argsort(-each, -1)[..., :3]
        powers = np.exp(np.take_along_axis(each, best, -1).astype(np.float64))
        shares = powers / powers.sum(-1, keepdims=True)
        dense[side] = (shares[..., None] * bank[best]).sum(-2)
        if short:
            numbers[f"vblora_logits_{side}_topk_indices"] = best
            numbers[f"vblora_logits_{side}_topk_weights"] = shares[..., :-1]
        else:
            numbers[f"vblora_logits_{side}"] = each
    wanted = dense["B"].swapaxes(1, 2).reshape(OUT, 2) @ dense["A"].reshape(2, IN)
    close(delta("VBLORA", numbers, 2, topk=3), wanted)


def test_vblora_with_a_place_beyond_the_bank():
    """An index beyond the bank gives no number, so the adapter is told to be not finite."""
    numbers = {"vblora_vector_bank": random(9, 4)}
    for side, shape in (("A", (2, IN // 4)), ("B", (OUT // 4, 2))):
        numbers[f"vblora_logits_{side}_topk_indices"] = np.full((*shape, 2), 9)
        numbers[f"vblora_logits_{side}_topk_weights"] = np.ones((*shape, 1))
    assert np.isnan(delta("VBLORA", numbers, 2, topk=2)).all()


def test_delora():
    """The directions are made equally long; a shorter one than 1e-4 is taken for that long."""
    a, b, norms = random(3, IN), random(OUT, 3), np.abs(random(IN))
    a[1] *= 1e-9
    lengths = np.maximum(np.linalg.norm(a, axis=1), 1e-4) * np.maximum(np.linalg.norm(b, axis=0), 1e-4)
    wanted = b @ np.diag(5 / 3 / lengths) @ a * norms
    numbers = {"delora_A": a, "delora_B": b, "delora_lambda": [5], "delora_w_norm": norms}
    close(delta("DELORA", numbers, 3), wanted)


@pytest.mark.parametrize("hybrid", [0, 1])
def test_gralora(hybrid):
    """Each pair of blocks has a product of its own, of a part of the rank."""
    blocks, rank, out, width = 2, 4, 30, 40
    a, b = random(blocks, width // blocks, rank), random(blocks, rank, out // blocks)
    wanted, share = np.zeros((out, width)), rank // blocks
    for n in range(blocks):
        for j in range(blocks):
            rows, columns = slice(j * 15, j * 15 + 15), slice(n * 20, n * 20 + 20)
            left = b[j, n * share : n * share + share].T
            wanted[rows, columns] = left @ a[n, :, j * share : j * share + share].T
    numbers = {"gralora_A": a, "gralora_B": b}
    if hybrid:
        numbers |= {"gralora_A_general": random(hybrid, width), "gralora_B_general": random(out, hybrid)}
        wanted += numbers["gralora_B_general"] @ numbers["gralora_A_general"]
    close(delta("GRALORA", numbers, rank, out=out, width=width), wanted)


def test_tinylora():
    """A vector mixes the random matrices that stand between the singular vectors."""
    numbers = {
        "tinylora_A": random(2, IN), "tinylora_B": random(OUT, 2),
        "tinylora_P": random(3, 2, 2), "tinylora_v": random(3),
    }  # fmt: skip
    between = np.einsum("i,ijk->jk", numbers["tinylora_v"], numbers["tinylora_P"])
    close(delta("TINYLORA", numbers, 2), numbers["tinylora_B"] @ between @ numbers["tinylora_A"])


LLAMA = [
    f"model.layers.{layer}.{name}" for layer in (0, 1) for name in ("self_attn.q_proj", "self_attn.v_proj")
]


@pytest.mark.parametrize(
    ("tying", "places"),
    [(0, [0, 1, 2, 3]), (0.5, [0, 0, 1, 1]), (0.25, [0, 1, 2, 2]), (1, [0, 0, 0, 0])],
)
def test_vectors_are_dealt(tying, places):
    """The modules get the vectors in the order in which the model declares them; neighbours may share one."""
    shared = {f"tinylora_v.{place}": tensor([place], f"v{place}") for place in range(4)}
    dealt = deal_vectors([*reversed(LLAMA)], shared, {"weight_tying": tying})
    assert [dealt[module]["tinylora_v"].name for module in LLAMA] == [f"v{place}" for place in places]


@pytest.mark.parametrize(
    ("modules", "code"),
    [
        (["transformer.h.0.attn.c_attn", "transformer.h.1.attn.c_attn"], "as-lora"),
        ([*LLAMA, "model.layers.2.mlp.up_proj"], "half"),
    ],
)
def test_vectors_that_cannot_be_dealt(modules, code):
    """An order that is not known, or a vector that is missing, is told under its rule."""
    with pytest.raises(FactorError) as caught:
        deal_vectors(modules, {f"tinylora_v.{place}": tensor([1]) for place in range(4)}, {})
    assert caught.value.code == code


def test_fourierft():
    """ΔW is the real part of the inverse transform of the trained frequencies."""
    spectrum = random(2)
    places = [*first_of_permutation(2, OUT * IN, 777)]
    dense = np.zeros(OUT * IN)
    dense[places] = spectrum
    wanted = np.fft.ifft2(dense.reshape(OUT, IN)).real * 60
    found = delta("FOURIERFT", {"fourierft_spectrum": spectrum}, 2, scaling=60.0, random_loc_seed=777)
    close(found, wanted)


PERMUTATIONS = {
    (12, 960, 777): [935, 63, 621, 188, 487, 902, 807, 861, 567, 67, 501, 611],
    (10, 10, 3): [6, 0, 3, 7, 8, 5, 1, 9, 2, 4],
}
"""How many numbers, of how many, with which seed → what torch 2.15 says."""


@pytest.mark.parametrize(("asked", "wanted"), PERMUTATIONS.items(), ids=str)
def test_permutations_of_torch(asked, wanted):
    """The places are those that torch's generator draws, and no other."""
    assert [*first_of_permutation(*asked)] == wanted


@pytest.mark.parametrize("pooled", [False, True])
def test_qalora(pooled):
    """On a base of GPTQ's, A takes means of groups of inputs, times the number of groups."""
    groups = IN // 4
    a, b = random(3, groups if pooled else IN), random(OUT, 3)
    mean = np.kron(np.eye(groups), np.full((1, 4), 1 / 4)) * groups if pooled else np.eye(IN)
    wanted = b.astype(np.float64) @ a @ mean
    settings = {"use_qalora": True, "qalora_group_size": 4}
    close(delta("LORA", {"lora_A": a, "lora_B": b}, 3, **settings), wanted)


@pytest.mark.parametrize("side", ["a", "b", "none"])
def test_bdlora(side):
    """One factor is a matrix with blocks along its diagonal, of which only the blocks are stored."""
    settings = {"target_modules_bd_a": ["down"], "target_modules_bd_b": ["q_proj"], "nblocks": 2}
    module = {"a": "x.down_proj", "b": "x.q_proj", "none": "x.v_proj"}[side]
    a, b = random(4, IN // 2 if side == "a" else IN), random(OUT, 2 if side == "b" else 4)
    full = {"a": a, "b": b}
    if side != "none":
        upper, lower = np.split(full[side], 2)
        full[side] = np.block([[upper, np.zeros_like(upper)], [np.zeros_like(lower), lower]])
    found = delta("LORA", {"lora_A": a, "lora_B": b}, 4, module=module, use_bdlora=settings)
    close(found, full["b"].astype(np.float64) @ full["a"])


MISS = {"miss_block": (4, 6)}
VB = {"vblora_vector_bank": (9, 4), "vblora_logits_A": (2, 5, 9), "vblora_logits_B": (3, 2, 9)}
DE = {"delora_A": (3, IN), "delora_B": (OUT, 3), "delora_lambda": (1,), "delora_w_norm": (IN,)}
GRA = {"gralora_A": (2, 20, 4), "gralora_B": (2, 4, 20)}
TINY = {"tinylora_A": (2, IN), "tinylora_B": (OUT, 2), "tinylora_P": (3, 2, 2), "tinylora_v": (3,)}
FT = {"fourierft_spectrum": (2,)}
LORA = {"lora_A": (2, IN), "lora_B": (OUT, 2)}
MISFITS = {
    "MiSS of another rank": ("MISS", MISS, 3, {}, "rank"),
    "MiSS that depends on W": ("MISS", MISS, 4, {"init_weights": "bat"}, "multiplicative"),
    "MiSS of three dimensions": ("MISS", {"miss_block": (3, 4, 4)}, 4, {}, "multiplicative"),
    "MiSS-mini that does not divide": ("MISS", {"miss_block": (4, 5)}, 4, {"init_weights": "mini"}, "shape"),
    "VB-LoRA of another rank": ("VBLORA", VB, 3, {"topk": 2}, "shape"),
    "VB-LoRA of another bank": ("VBLORA", {**VB, "vblora_vector_bank": (8, 4)}, 2, {"topk": 2}, "shape"),
    "VB-LoRA of more than there are": ("VBLORA", VB, 2, {"topk": 10}, "shape"),
    "VB-LoRA with a text": ("VBLORA", VB, 2, {"topk": "2"}, "shape"),
    "DeLoRA of another rank": ("DELORA", DE, 2, {}, "rank"),
    "DeLoRA of another width": ("DELORA", {**DE, "delora_w_norm": (IN + 1,)}, 3, {}, "shape"),
    "GraLoRA of another rank": ("GRALORA", GRA, 6, {}, "shape"),
    "GraLoRA whose blocks do not divide it": (
        "GRALORA", {"gralora_A": (3, 20, 4), "gralora_B": (3, 4, 20)}, 4, {}, "shape",
    ),
    "GraLoRA larger than W": (
        "GRALORA", {"gralora_A": (2, 2, 4), "gralora_B": (2, 4, 2)}, 4, {}, "full-rank",
    ),
    "TinyLoRA without P": (
        "TINYLORA", {name: TINY[name] for name in TINY if name != "tinylora_P"}, 2, {}, "no-projection",
    ),
    "TinyLoRA of another vector": ("TINYLORA", {**TINY, "tinylora_v": (4,)}, 2, {}, "shape"),
    "TinyLoRA of a larger rank": ("TINYLORA", TINY, 1, {}, "rank"),
    "FourierFT of other frequencies": ("FOURIERFT", FT, 3, {}, "rank"),
    "FourierFT larger than W": ("FOURIERFT", {"fourierft_spectrum": (9,)}, 9, {}, "full-rank"),
    "FourierFT without a seed": ("FOURIERFT", FT, 2, {"random_loc_seed": None}, "shape"),
    "BD-LoRA without a number": ("LORA", LORA, 2, {"use_bdlora": True}, "variant"),
    "QALoRA with a text": ("LORA", LORA, 2, {"use_qalora": True, "qalora_group_size": "4"}, "variant"),
}  # fmt: skip


@pytest.mark.parametrize(("method", "shapes", "rank", "settings", "code"), MISFITS.values(), ids=MISFITS)
def test_misfits(method, shapes, rank, settings, code):
    """Tensors that do not make a weight are told under their rule, with the module."""
    with pytest.raises(FactorError, match=r"the\.module") as caught:
        delta(
            method,
            {name: random(*shape) for name, shape in shapes.items()},
            rank,
            module="the.module",
            **settings,
        )
    assert caught.value.code == code


UNSIZED = {
    "MISS": ({"miss_block": (4, 6)}, 4, {"init_weights": "mini"}),
    "FOURIERFT": (FT, 2, {}),
    "VERA": ({"vera_A": (2, IN), "vera_B": (OUT, 2), "vera_lambda_d": (2,), "vera_lambda_b": (OUT,)}, 2, {}),
    "LORA": (LORA, 2, {"use_qalora": True}),
}


@pytest.mark.parametrize(("method", "case"), UNSIZED.items(), ids=UNSIZED)
def test_a_size_that_is_not_known(method, case):
    """A method that needs the size of the weight says so if the base does not tell it."""
    shapes, rank, settings = case
    with pytest.raises(FactorError) as caught:
        delta(
            method, {name: random(*shape) for name, shape in shapes.items()}, rank, out=0, width=0, **settings
        )
    assert caught.value.code == "size-unknown"
