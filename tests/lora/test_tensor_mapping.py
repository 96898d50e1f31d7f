"""Where pairs end up in a file: the right tensor, the right way round, or the rule that says why not."""

from pathlib import Path

import numpy as np
import pytest
from recipes import TINY, resized

from ollama_pack.arch.table import require_arch
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.adapter import Adapter, LoraPair
from ollama_pack.lora.algebra import first_rows_columns
from ollama_pack.lora.factors import FactorError
from ollama_pack.lora.tensor_mapping import map_pairs_to_tensors
from ollama_pack.lora.unsupported import RULES

MIXTURE = resized(TINY, arch="qwen3moe", experts=3, expert_feed_forward=8, tied=False)
EXPERTS = "model.layers.0.mlp.experts"
RANDOM = np.random.default_rng(4)


def tensor(shape):
    numbers = RANDOM.normal(0, 1, shape).astype(np.float32)
    return LazyTensor(Path("x"), str(shape), tuple(shape), (), lambda: numbers)


def pair(module, a, b, alpha=1.0):
    return LoraPair(module, tensor(a), tensor(b), alpha)


def place(*pairs, base=MIXTURE, method="LoRA", **config):
    adapter = Adapter(Path("d"), Path("d/weights"), pairs, 2, 1.0, "org/base", config, method=method)
    return map_pairs_to_tensors(adapter, base, require_arch(base.hparams.arch))


def delta(each):
    with TensorReader() as weights:
        a, b = (weights.float32(side).astype(np.float64) for side in (each.a, each.b))
    return each.scale * (b @ a)


def test_fused_experts():
    """gate_up_proj goes into two tensors, each with half of the rows of B, and one A."""
    gate, up = place(pair(f"{EXPERTS}.gate_up_proj", (3, 2, 20), (3, 16, 2)))
    assert (gate.tensor, up.tensor) == ("blk.0.ffn_gate_exps.weight", "blk.0.ffn_up_exps.weight")
    assert (gate.rows, up.rows) == (tuple(range(8)), tuple(range(8, 16)))
    assert gate.pair == up.pair


def test_single_experts_become_a_stack():
    """Pairs of single experts become one, with zeros for the others, whatever their ranks and scales."""
    pairs = (
        pair(f"{EXPERTS}.2.up_proj", (2, 20), (8, 2), alpha=4.0),
        pair(f"{EXPERTS}.0.up_proj", (5, 20), (8, 5), alpha=1.0),
    )
    (found,) = place(*pairs)
    assert (found.pair.a.shape, found.pair.b.shape) == ((3, 5, 20), (3, 8, 5))
    stack = delta(found.pair)
    np.testing.assert_allclose(stack[2], delta(pairs[0]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(stack[0], delta(pairs[1]), rtol=1e-5, atol=1e-6)
    assert not stack[1].any()


@pytest.mark.parametrize("version", ["0.18.0", "0.17.1", None])
def test_swapped_experts(version):
    """Experts that an old PEFT took the other way round are turned, by their shapes."""
    trained = pair(f"{EXPERTS}.down_proj", (3, 2, 20), (3, 8, 2))
    (found,) = place(trained, peft_version=version, target_parameters=["experts.down_proj"])
    assert (found.pair.a.shape, found.pair.b.shape) == ((3, 2, 8), (3, 20, 2))
    np.testing.assert_allclose(delta(found.pair), delta(trained).swapaxes(1, 2), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("version", "arch", "turned"),
    [("0.18.0", "qwen3moe", True), ("0.19.0", "qwen3moe", False), ("0.21.2", "qwen3moe", False),
     ("0.18.0", "gpt-oss", False)],
)  # fmt: skip
def test_square_experts(version, arch, turned):
    """Where the shapes do not tell, the version does; weights that are stored in × out were always right."""
    base = resized(MIXTURE, arch=arch, expert_feed_forward=20)
    trained = pair(f"{EXPERTS}.down_proj", (3, 2, 20), (3, 20, 2))
    (found,) = place(trained, base=base, peft_version=version, target_parameters=["experts.down_proj"])
    assert (found.pair != trained) is turned


def test_interleaved_rows():
    """gpt-oss has the rows of gate and up by turns."""
    base = resized(MIXTURE, arch="gpt-oss")
    gate, up = place(pair(f"{EXPERTS}.gate_up_proj", (3, 2, 20), (3, 16, 2)), base=base)
    assert (gate.rows, up.rows) == (tuple(range(0, 16, 2)), tuple(range(1, 16, 2)))


def test_vera_is_cut():
    """VeRA's A is as wide as its widest weight; a narrower one uses the first columns."""
    trained = pair("model.layers.0.self_attn.v_proj", (4, 28), (12, 4))
    fit = lambda _, width: (first_rows_columns(trained.a, 4, width), trained.b)  # noqa: E731
    (found,) = place(trained._replace(fit=fit), base=TINY)
    np.testing.assert_allclose(delta(found.pair), delta(trained)[:, :20])


def test_a_fit_that_fails():
    """What does not fit the size of its weight is refused by the rule that says why, with its module."""

    def fit(_, __):
        raise FactorError("size-unknown", "the.module")

    with pytest.raises(UnsupportedError, match=r"the\.module") as caught:
        place(pair("model.layers.0.self_attn.v_proj", (4, 28), (12, 4))._replace(fit=fit), base=TINY)
    assert caught.value.hint == RULES["size-unknown"].hint


def test_embedding_is_transposed():
    """The A of an embedding lies transposed in the file: vocabulary × rank."""
    (found,) = place(
        pair("model.embed_tokens", (2, 50), (20, 2)),
        base=resized(TINY, tied=False),
    )
    assert (found.tensor, found.a.shape, found.pair.b.shape) == ("token_embd.weight", (50, 2), (20, 2))


def test_embedding_as_a_parameter():
    """LoRA on the bare parameter of an embedding is that of its transpose, and turned."""
    trained = pair("model.embed_tokens", (2, 20), (50, 2))
    (found,) = place(trained, base=resized(TINY, tied=False))
    np.testing.assert_allclose(delta(found.pair), delta(trained).T, rtol=1e-6)


REFUSED = {
    "a module nobody has": (pair("model.layers.0.x_proj", (2, 20), (12, 2)), TINY, "no-place"),
    "the head of a tied base": (pair("lm_head", (2, 20), (50, 2)), resized(TINY, tied=True), "tied"),
    "the embedding of a tied base": (
        pair("model.embed_tokens", (2, 50), (20, 2)), resized(TINY, tied=True), "tied",
    ),
    "the head of a base known by name": (pair("lm_head", (2, 20), (50, 2)), TINY, "maybe-tied"),
    "a head of more tokens": (pair("lm_head", (2, 20), (52, 2)), resized(TINY, tied=False), "resized"),
    "an embedding of more tokens": (
        pair("model.embed_tokens", (2, 52), (20, 2)), resized(TINY, tied=False), "resized",
    ),
    "an expert of an unknown number": (
        pair(f"{EXPERTS}.0.up_proj", (2, 20), (8, 2)), resized(MIXTURE, experts=0), "experts-unknown",
    ),
    "a weight llama.cpp ignores": (
        pair("model.layers.0.self_attn.q_a_proj", (2, 20), (8, 2)),
        resized(TINY, arch="deepseek2"),
        "ignored",
    ),
    "multipliers nobody knows": (
        pair("model.layers.0.self_attn.q_proj", (2, 20), (24, 2)),
        resized(TINY, arch="falcon-h1"),
        "multipliers",
    ),
    "a gated delta net by name": (
        pair("model.layers.0.linear_attn.in_proj_z", (2, 20), (24, 2)),
        resized(TINY, arch="qwen35"),
        "states-unknown",
    ),
    "a Granite hybrid by name": (
        pair("model.layers.0.shared_mlp.output_linear", (2, 20), (20, 2)),
        resized(TINY, arch="granitehybrid"),
        "states-unknown",
    ),
    "the steps of a Mamba": (
        pair("backbone.layers.0.mixer.dt_proj", (2, 20), (24, 2)), resized(TINY, arch="mamba"), "one-sided",
    ),
    "experts with a scale of their own": (
        pair("model.layers.0.experts.down_proj", (3, 2, 8), (3, 20, 2)),
        resized(MIXTURE, arch="gemma4"),
        "scaled-beside",
    ),
    "a head its converter alters": (
        pair("lm_head", (2, 20), (50, 2)), resized(TINY, arch="jais", tied=False), "altered-by-converter",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("each", "base", "rule"), REFUSED.values(), ids=REFUSED)
def test_refused(each, base, rule):
    """A pair without a place is refused under its rule, by the name of its module."""
    with pytest.raises(UnsupportedError) as caught:
        place(each, base=base)
    assert RULES[rule].feature in caught.value.what
    assert each.module in caught.value.what


MISFITS = {
    "too many experts": (pair(f"{EXPERTS}.down_proj", (4, 2, 8), (4, 20, 2)), "4 experts, the base has 3"),
    "an expert that is not there": (
        pair(f"{EXPERTS}.3.down_proj", (2, 8), (20, 2)), "expects 4 experts, the base has 3",
    ),
    "one matrix for all experts": (pair(f"{EXPERTS}.down_proj", (2, 8), (20, 2)), "have 2 dimensions"),
    "a stack on a linear weight": (
        pair("model.layers.0.self_attn.v_proj", (3, 2, 20), (3, 12, 2)), "A and B have 3 dimensions",
    ),
    "an odd number of fused rows": (
        pair(f"{EXPERTS}.gate_up_proj", (3, 2, 20), (3, 17, 2)), "expects 17×20, the base has 16×20",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("each", "message"), MISFITS.values(), ids=MISFITS)
def test_misfits(each, message):
    """A pair that does not fit its weight is told with both sizes."""
    with pytest.raises(InputError, match="does not fit the base") as caught:
        place(each)
    assert message in caught.value.what


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_one_weight_under_two_names(order):
    """Two modules that are one weight cannot both be written."""
    both = (
        pair(f"{EXPERTS}.down_proj", (3, 2, 8), (3, 20, 2)), pair(f"{EXPERTS}.1.down_proj", (2, 8), (20, 2))
    )  # fmt: skip
    with pytest.raises(InputError, match="the same weight twice"):
        place(*(both[index] for index in order))


def test_sum_that_holds_experts_in_two_ways():
    """A stack in one file and a single expert in another are no damage; the sum of them is refused."""
    whole, alone = (
        pair(f"{EXPERTS}.down_proj", (3, 2, 8), (3, 20, 2)),
        pair(f"{EXPERTS}.1.down_proj", (2, 8), (20, 2)),
    )
    alone = alone._replace(a=alone.a._replace(path=Path("y")))
    with pytest.raises(UnsupportedError, match="a sum of adapters that store experts differently"):
        place(whole, alone)


def test_experts_that_differ_in_size():
    """Single experts of different sizes are no stack, also where the base does not tell the size."""
    both = (pair(f"{EXPERTS}.0.up_proj", (2, 20), (8, 2)), pair(f"{EXPERTS}.1.up_proj", (2, 20), (9, 2)))
    with pytest.raises(InputError):
        place(*both, base=resized(MIXTURE, expert_feed_forward=0))
