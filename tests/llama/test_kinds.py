"""Every kind of adapter is right, as llama.cpp computes it, or refused by name, or damaged with its place."""

import json
from dataclasses import replace

import numpy as np
import pytest
from archive import names_of, unpacked
from gguf import GGUFReader, GGUFValueType
from judging import OUTTYPES, RECORDS, TORCH
from kinds import DAMAGED, KINDS, REFUSED, RIGHT

from ollama_pack.base.hf_config import read_config
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.lora.export import write_lora
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.plan import LoraPlan, LoraTensor
from ollama_pack.lora.planner import plan_lora
from ollama_pack.lora.unsupported import RULES, Severity
from ollama_pack.verify.numbers import prove_numbers

LIMITS = {"f32": 0.002, "f16": 0.02}
"""Largest difference from PEFT's logits, in units of what the adapter changes."""

pytestmark = pytest.mark.llama


NO_TORCH = pytest.mark.skipif(not TORCH, reason="NOT TESTED: torch, which reads pickles, is not installed")


def of(verdict: str) -> list:
    kinds = [kind for kind in KINDS if kind.verdict == verdict]
    return [
        pytest.param(kind, id=kind.case, marks=[NO_TORCH] if kind.case == "bin" else []) for kind in kinds
    ]


@pytest.mark.parametrize("model", sorted({kind.model for kind in KINDS if kind.verdict == RIGHT}))
def test_bases_are_straight(judge_kinds, model):
    """Without an adapter llama.cpp says what was recorded, within a thousandth of the smallest effect."""
    judged = judge_kinds(model)
    smallest = min(
        judged.effect(kind.case) for kind in KINDS if (kind.model, kind.verdict) == (model, RIGHT)
        if kind.case in judged.truth
    )  # fmt: skip
    off = np.abs(judged.seen(judged.answers["base", "tokens"]) - judged.truth["base"]).max()
    assert off < 0.001 * smallest


@pytest.mark.parametrize("outtype", OUTTYPES)
@pytest.mark.parametrize("kind", of(RIGHT))
def test_right(judge_kinds, kind, outtype):
    """What is written computes what PEFT computes."""
    assert judge_kinds(kind.model).miss(kind.case, outtype) <= LIMITS[outtype]


@pytest.mark.parametrize("outtype", ["f32", "f16", "bf16", "q8_0", "auto"])
@pytest.mark.parametrize("kind", of(RIGHT))
def test_numbers_proof(settled, tmp_path, kind, outtype):
    """The proof of the numbers passes what llama.cpp confirms, in every type."""
    work = settled(kind)
    write_lora(work.plan, tmp_path / "lora.gguf", outtype)
    assert prove_numbers(work.adapter, work.base, tmp_path / "lora.gguf").passed


@pytest.mark.parametrize("kind", of(REFUSED))
def test_refused(settled, kind):
    """What cannot be exact is refused under its rule, with its tensors, a reason and a hint."""
    rule = RULES[kind.rule]
    with pytest.raises(UnsupportedError) as caught:
        settled(kind)
    assert rule.severity is Severity.UNSUPPORTED
    assert f"{rule.feature}: {rule.reason}" in caught.value.what
    assert rule.hint in caught.value.hint
    assert len(caught.value.what.splitlines()) > 2


@pytest.mark.parametrize("kind", of(DAMAGED))
def test_damaged(settled, kind):
    """What is damaged is told with its place."""
    with pytest.raises(InputError) as caught:
        settled(kind)
    if kind.rule:
        assert RULES[kind.rule].severity is Severity.DAMAGED
        assert RULES[kind.rule].feature in caught.value.what
    assert str(unpacked(RECORDS, kind.model) / kind.case) in caught.value.where


@pytest.mark.parametrize("method", ["bitsandbytes", "gptq", "awq", "fp8"])
def test_base_in_few_bits(settled, tmp_path, method):
    """How the base's weights are stored does not matter: its config.json gives the very same file."""
    work = settled(next(kind for kind in KINDS if kind.case == "qlora-config"))
    sizes = {
        "hidden_size": 24,
        "head_dim": 8,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "vocab_size": 80,
    }
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False}
    config = {"architectures": ["LlamaForCausalLM"], "quantization_config": {"quant_method": method}}
    (tmp_path / "config.json").write_text(json.dumps({**config, **sizes, **heads}), "utf-8")
    plan = plan_lora(work.adapter, read_config(tmp_path).base())
    files = [write_lora(each, tmp_path / "x.gguf", "f16") for each in (work.plan, plan)]
    assert files[0].digest == files[1].digest


def test_invocation_tokens(settled, tmp_path):
    """The tokens that activate an aLoRA are in the file, as an array of uint32."""
    write_lora(settled(next(kind for kind in KINDS if kind.case == "alora")).plan, tmp_path / "x.gguf", "f16")
    field = GGUFReader(tmp_path / "x.gguf").fields["adapter.alora.invocation_tokens"]
    assert field.types == [GGUFValueType.ARRAY, GGUFValueType.UINT32]
    assert field.contents() == [5, 9]


@pytest.mark.parametrize("tensor", ["attn_q_a", "attn_q_b", "attn_kv_a_mqa"])
def test_ignored_weights_are_ignored(ask_llama, base_file, judge_kinds, tmp_path, tensor):
    """What is refused as ignored would load and change nothing, so nobody would see that it is missing."""
    adapter, base = read_adapter(unpacked(RECORDS, "deepseek2") / "ignored"), base_file("deepseek2")
    names = {"attn_q_a": "q_a_proj", "attn_q_b": "q_b_proj", "attn_kv_a_mqa": "kv_a_proj_with_mqa"}
    pair = next(pair for pair in adapter.pairs if pair.module.endswith(f"0.self_attn.{names[tensor]}"))
    sides = (LoraTensor(f"blk.0.{tensor}.weight.lora_{side}", getattr(pair, side)) for side in "ab")
    write_lora(LoraPlan("deepseek2", pair.alpha, tuple(sides)), tmp_path / "x.gguf", "f32")
    bare, adapted = ask_llama(base, judge_kinds("deepseek2").truth["tokens"], [None, tmp_path / "x.gguf"])
    assert isinstance(bare, np.ndarray)
    assert np.array_equal(bare, adapted)


def test_a_wrong_fold_would_be_seen(settled, ask_llama, base_file, judge_kinds, tmp_path):
    """The limits tell right from wrong: a scale that is off by three per cent misses them."""
    kind = next(kind for kind in KINDS if kind.case == "lokr")
    work, judged = settled(kind), judge_kinds("llama")
    adapter = replace(work.adapter, pairs=tuple(p._replace(alpha=p.alpha * 1.03) for p in work.adapter.pairs))
    write_lora(plan_lora(adapter, work.base), tmp_path / "x.gguf", "f32")
    (logits,) = ask_llama(base_file("llama"), judged.truth["tokens"], [tmp_path / "x.gguf"])
    assert np.abs(logits - judged.truth["lokr"]).max() / judged.effect("lokr") > 4 * LIMITS["f32"]


def test_every_record_has_a_row():
    """No recorded adapter is without a verdict, and none is judged that is not recorded."""
    cases = [
        path
        for model in names_of(RECORDS)
        for path in unpacked(RECORDS, model).iterdir()
        if path.is_dir() and path.name != "merged"  # the weights that PEFT itself merged
    ]
    recorded = {(path.parent.name, path.name) for path in cases}
    assert {(kind.model, kind.folder or kind.case) for kind in KINDS} == recorded
