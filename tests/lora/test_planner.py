"""From modules to tensors of a file: names, orders, one alpha, what does not fit, and the lineage."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recipes import TINY, Recipe, resized, tensors_of

from ollama_pack.arch.hparams import StateSpace
from ollama_pack.arch.table import require_arch
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.adapter import Adapter, LoraPair
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.planner import plan_lora

Q0 = "model.layers.0.self_attn.q_proj"
K1 = "model.layers.1.self_attn.k_proj"
QWEN = resized(TINY, arch="qwen2")
KNOWN = replace(TINY, tensors=tensors_of(TINY))
UNTIED = replace(TINY, tensors=tensors_of(TINY, tied=False))


@pytest.fixture
def planned(make_adapter):
    """Return a function that maps a fresh adapter of a recipe onto a base."""

    def plan(base=TINY, **fields):
        return plan_lora(read_adapter(make_adapter(**fields)), base)

    return plan


@pytest.mark.parametrize("base", [TINY, KNOWN, QWEN], ids=["from sizes", "from tensors", "qwen2"])
def test_names_in_pairs(planned, base):
    """Every module becomes A then B, under llama.cpp's name."""
    names = [tensor.name for tensor in planned(base).tensors]
    assert len(names) == 28
    assert names[::2] == [name.replace("lora_b", "lora_a") for name in names[1::2]]
    assert set(names) == {
        f"{name}.lora_{side}" for name in tensors_of(TINY) if "attn_" in name or "ffn_" in name
        if "norm" not in name for side in "ab"
    }  # fmt: skip


def test_only_query_and_key_rows_move(planned):
    """In llama the rows of B are ordered anew for q and k, and nowhere else; A never is."""
    moved = {tensor.name for tensor in planned().tensors if tensor.rows is not None}
    assert moved == {f"blk.{block}.attn_{side}.weight.lora_b" for block in (0, 1) for side in "qk"}


def test_nothing_moves_in_qwen2(planned):
    """Qwen2 keeps every row where it is."""
    assert all(tensor.rows is None for tensor in planned(QWEN).tensors)


def test_plain_plan(planned):
    """Without patterns alpha is written as it is, and no factor touches a number."""
    plan = planned(alpha=6)
    assert (plan.arch, plan.alpha) == ("llama", 6.0)
    assert {tensor.factor for tensor in plan.tensors} == {1.0}


def test_most_common_alpha(planned):
    """The alpha most pairs have is written; the others get their difference on B."""
    plan = planned(modules=("q_proj", "k_proj", "v_proj"), alpha=6, config={"alpha_pattern": {"v_proj": 9}})
    factors = {tensor.name: tensor.factor for tensor in plan.tensors}
    assert plan.alpha == 6
    assert {name for name, factor in factors.items() if factor == 1.5} == {
        "blk.0.attn_v.weight.lora_b",
        "blk.1.attn_v.weight.lora_b",
    }
    assert sorted(factors.values()) == [1.0] * 10 + [1.5] * 2


def test_smallest_of_equally_common_alphas(planned):
    """Of alphas equally common the smallest is written, whatever the order of the file."""
    fields = {"modules": ("q_proj", "v_proj"), "alpha": 6, "config": {"alpha_pattern": {"q_proj": 3}}}
    assert {planned(reverse=reverse, **fields).alpha for reverse in (False, True)} == {3.0}


def test_rslora(planned):
    """With rsLoRA alpha grows by √rank, as the file divides by the rank."""
    plan = planned(rank=4, alpha=6, config={"use_rslora": True})
    assert plan.alpha == 12.0


def test_rounded_alpha_needs_no_factor(planned):
    """An alpha that float32 must round is no reason to touch B."""
    plan = planned(alpha=0.1)
    assert plan.alpha == float(np.float32(0.1))
    assert {tensor.factor for tensor in plan.tensors} == {1.0}


def test_unknown_modules_are_told_together(planned):
    """All modules without a place are named in one error."""
    extra = {f"x.{side}.lora_{part}.weight": np.ones((3, 3)) for side in ("one", "two") for part in "AB"}
    with pytest.raises(UnsupportedError, match="no linear weight") as caught:
        planned(extra=extra)
    assert "x.one" in caught.value.what
    assert "x.two" in caught.value.what


@pytest.mark.parametrize("number", ["{i}", "00", "-1", "٣", "1234567"])
def test_block_numbers_are_plain(planned, number):
    """What is no plain block number has no place, rather than somebody else's."""
    name = f"model.layers.{number}.self_attn.q_proj"
    extra = {f"{name}.lora_A.weight": np.ones((3, 20)), f"{name}.lora_B.weight": np.ones((24, 3))}
    with pytest.raises(UnsupportedError, match="no linear weight"):
        planned(extra=extra)


def test_unknown_architecture(planned):
    """An architecture without a row is told by its name."""
    with pytest.raises(UnsupportedError, match="architecture 'clip' cannot be converted"):
        planned(resized(TINY, arch="clip"))


MISFITS = {
    "wider hidden": (
        resized(TINY, hidden=24),
        "the adapter expects 24×20, the base has 24×24",
    ),
    "more heads": (
        resized(TINY, heads=5),
        "the adapter expects 24×20, the base has 30×20",
    ),
    "more key heads": (
        resized(TINY, kv_heads=4),
        "the adapter expects 12×20, the base has 24×20",
    ),
    "wider feed-forward": (
        resized(TINY, feed_forward=32),
        "the adapter expects 28×20, the base has 32×20",
    ),
    "too few blocks": (
        resized(TINY, blocks=1),
        "layers.1.self_attn.q_proj: the last layer of the base is 0",
    ),
    "other tensors": (
        replace(TINY, tensors=tensors_of(resized(TINY, hidden=24))),
        "the adapter expects 24×20, the base has 24×24",
    ),
    "tensors of too few blocks": (
        replace(TINY, tensors=tensors_of(resized(TINY, blocks=1))),
        "base has no blk.1.attn_q.weight",
    ),
    "a header that lies about its heads": (
        resized(KNOWN, heads=8),
        "the adapter expects 24 rows, the base has 48 rows in heads of 6",
    ),
    "a header of 2^62 heads": (resized(KNOWN, heads=2**62), "the adapter expects 24 rows"),
    "heads of an odd size": (
        resized(KNOWN, heads=8, kv_heads=4, head_dim=3),
        "into heads of 3",
    ),
}


@pytest.mark.parametrize(("base", "message"), MISFITS.values(), ids=MISFITS)
def test_misfits(planned, base, message):
    """An adapter of another base is an InputError with both shapes, and names its own base."""
    with pytest.raises(InputError, match="does not fit the base") as caught:
        planned(base)
    assert message in caught.value.what
    assert "tests/tiny" in caught.value.hint


def test_unknown_sizes_are_not_checked(planned):
    """A size the base does not tell is not held against the adapter."""
    assert planned(resized(TINY, feed_forward=0))


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        pytest.param(KNOWN, "of a tied base", id="a tied base"),
        pytest.param(TINY, "base known by name only", id="a base known by its sizes"),
    ],
)
def test_head_without_a_place(planned, base, reason):
    """LoRA on the output head is refused where the base is not known to have a head."""
    with pytest.raises(UnsupportedError, match=reason) as caught:
        planned(base, head=True)
    assert "lm_head" in caught.value.what


def test_head_of_an_untied_base(planned):
    """LoRA on the output head goes to the head of an untied base."""
    assert "output.weight.lora_b" in {tensor.name for tensor in planned(UNTIED, head=True).tensors}


def test_head_of_another_vocabulary(planned):
    """A head of another vocabulary is that of a resized one."""
    base = replace(TINY, tensors=UNTIED.tensors | {"output.weight": (51, 20)})
    with pytest.raises(UnsupportedError, match="lm_head: the adapter has 50 tokens, the base has 51"):
        planned(base, head=True)


def test_lineage(planned):
    """The file says which model the adapter belongs to."""
    plan = planned(config={"base_model_name_or_path": "org/Model-1.5"})
    assert plan.metadata == {
        "general.base_model.count": 1,
        "general.base_model.0.name": "Model-1.5",
        "general.base_model.0.organization": "org",
        "general.base_model.0.repo_url": "https://huggingface.co/org/Model-1.5",
    }


PATHS = [
    "/home/ada/model", "./model", "../up/model", "~/model", "models/", "/model", "a/b/c", "model",
    "C:/model", "C:\\models\\x", "\\\\host\\x", "my models/base", "file:x/y", "a/..", "-x/y", "\ud800/x",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leaks(planned, path):
    """What is not the shape of a Hugging Face id never enters the file; the base's own id does."""
    plan = planned(config={"base_model_name_or_path": path})
    assert plan.metadata == {
        "general.base_model.count": 1,
        "general.base_model.0.name": "tiny",
        "general.base_model.0.organization": "tests",
        "general.base_model.0.repo_url": "https://huggingface.co/tests/tiny",
    }


def test_lineage_without_organisation(planned):
    """A base that tells only a name gives only a name."""
    plan = planned(replace(TINY, source_id="tiny"), config={"base_model_name_or_path": None})
    assert plan.metadata == {"general.base_model.count": 1, "general.base_model.0.name": "tiny"}


def test_no_lineage(planned):
    """Where nobody knows the base, the file says nothing about it."""
    assert planned(replace(TINY, source_id=""), config={"base_model_name_or_path": None}).metadata == {}


def test_order_of_the_file_does_not_matter(planned):
    """Two files with the same tensors in another order give one plan, but for where they lie."""
    names = [[tensor.name for tensor in planned(reverse=reverse).tensors] for reverse in (False, True)]
    assert names[0] == names[1]


def test_full_names_of_a_recipe():
    """The tests' own adapters name modules of the row."""
    modules = {weight.module.replace("{i}", "0") for weight in require_arch("llama").weights}
    assert set(Recipe(layers=(0,), head=True).names()) <= modules


QWEN35 = resized(TINY, arch="qwen35")
HUGE = {
    "heads beyond the hidden size": (TINY, {"heads": 2**32 - 1, "kv_heads": 2**32 - 1, "head_dim": 0}),
    "heads that nothing holds": (TINY, {"heads": 2**39, "head_dim": 2**20}),
    "a state of nothing": (QWEN35, {"ssm": StateSpace(groups=2**30, heads=2**60, state=2**33, inner=0)}),
    "heads without a state": (QWEN35, {"ssm": StateSpace(groups=1, heads=2**60, state=0, inner=2**60)}),
}


@pytest.mark.parametrize(("base", "numbers"), HUGE.values(), ids=HUGE)
def test_a_header_that_tells_huge_numbers(base, numbers):
    """No order is made of them: the adapter does not fit, at once."""
    module = "linear_attn.in_proj_z" if base is QWEN35 else "self_attn.q_proj"
    tensor = "blk.0.attn_gate.weight" if base is QWEN35 else "blk.0.attn_q.weight"

    def made(*shape):
        return LazyTensor(Path("x"), "x", shape, (), lambda: np.zeros(shape, np.float32))

    pair = LoraPair(f"model.layers.0.{module}", made(2, 20), made(24, 2), 1.0)
    adapter = Adapter(Path("x"), Path("x"), (pair,), 2, 1.0, "", {})
    with pytest.raises(InputError, match="the adapter expects 24 rows"):
        plan_lora(adapter, replace(resized(base, **numbers), tensors={tensor: (24, 20)}))
