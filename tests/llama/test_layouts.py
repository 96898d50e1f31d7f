"""Bases that keep weights in one tensor, or apart, where llama.cpp's converter does otherwise by default.

The file is that of the records with tensors joined, as ``--fuse-qkv`` and ``--fuse-gate-up-exps`` of the
converter join them, or taken apart; llama.cpp must answer as PEFT does all the same.
"""

import numpy as np
import pytest
from archive import unpacked
from asking import ABORTED
from recipes import resized
from rewriting import rewrite

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.errors import InputError
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.lora.export import write_lora
from ollama_pack.lora.fused_tensors import FUSED_TENSORS
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.planner import plan_lora
from ollama_pack.verify.numbers import prove_numbers

RECORDS = "archs-reference"
LIMIT = 0.02

pytestmark = pytest.mark.llama


def joined(whole: str):
    """Return a function that puts the parts of a tensor one below the other, weights and biases."""

    def join(found):
        parts = FUSED_TENSORS[whole]
        for name in list(found):
            block, _, kind = name.partition(f".{parts[0]}.")
            names = [f"{block}.{part}.{kind}" for part in parts]
            if kind and all(part in found for part in names):
                axis = -1 if kind == "bias" else -2
                found[f"{block}.{whole}.{kind}"] = np.concatenate([found.pop(part) for part in names], axis)
        return found

    return join


def apart(whole: str, base):
    """Return a function that takes a tensor apart: q, k and v by the heads of a base, others in halves."""

    def take(found):
        for name in list(found):
            if f".{whole}." in name:
                numbers = found.pop(name)
                sizes = np.cumsum([base.hparams.heads, base.hparams.kv_heads]) * base.hparams.head_dim
                edges = sizes if whole == "attn_qkv" else 2
                axis = -1 if name.endswith("bias") else -2
                for part, share in zip(FUSED_TENSORS[whole], np.split(numbers, edges, axis), strict=True):
                    found[name.replace(whole, part)] = share
        return found

    return take


CASES = [
    *[("joined", "attn_qkv", row, ".") for row in ("qwen3", "smollm3", "stablelm", "olmo2", "gemma3")],
    *[("joined", "ffn_gate_up_exps", row, "experts") for row in ("deepseek3", "qwen35moe", "hy_v3")],
    ("apart", "attn_qkv", "phimini", "."),
]


CRASHES = {("b10566", "olmo2")}
"""Builds of llama.cpp, and bases in another layout on which they crash, with or without an adapter."""


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_other_layouts(llama, ask_llama, tmp_path, case):
    """An adapter on a base in another layout computes what PEFT computes; its numbers are proved."""
    how, whole, row, adapters = case
    folder = unpacked(RECORDS, row)
    plain = read_base_gguf(folder / "base.gguf")
    make = joined(whole) if how == "joined" else apart(whole, plain)
    other = rewrite(folder / "base.gguf", tmp_path / "base.gguf", make)
    base, adapter = read_base_gguf(other), read_adapter(folder / adapters)
    assert base.tensors.keys() != plain.tensors.keys()
    write_lora(plan_lora(adapter, base), tmp_path / "lora.gguf", "f16")
    report = prove_numbers(adapter, base, tmp_path / "lora.gguf")
    assert report.passed, report.summary
    records = llama.truth(folder / "logits.npz")
    truth, bare = records["all" if adapters == "." else adapters], records["base"]
    unadapted, found = ask_llama(other, records["tokens"], [None, tmp_path / "lora.gguf"])
    if (llama.name, row) in CRASHES:
        assert [unadapted, found] == [ABORTED, ABORTED]
        return
    assert isinstance(unadapted, np.ndarray), f"llama.cpp {llama.name} {unadapted}"
    effect = np.abs(truth - bare).max()
    assert np.abs(unadapted - bare).max() <= LIMIT / 4 * effect, "the base itself is another"
    assert isinstance(found, np.ndarray), f"llama.cpp {llama.name} {found}"
    assert np.abs(found - truth).max() <= LIMIT * effect
    assert {name.rpartition(".lora_")[0] for name in read_gguf(tmp_path / "lora.gguf").shapes} <= set(
        base.tensors
    )


def test_heads_that_do_not_fit_a_joined_weight(tmp_path):
    """A joined weight that the header's heads do not explain is not taken apart: the tensor is missing."""
    folder = unpacked(RECORDS, "qwen3")
    base = read_base_gguf(rewrite(folder / "base.gguf", tmp_path / "base.gguf", joined("attn_qkv")))
    with pytest.raises(InputError, match=r"the base has no blk\.{0-1}\.attn_q\.weight"):
        plan_lora(read_adapter(folder), resized(base, kv_heads=3))
