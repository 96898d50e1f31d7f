"""The proof of a merged file: each fault that it is there for, made by hand, is found and named."""

import os
from dataclasses import replace

import gguf
import numpy as np
import pytest
from recipes import TINY, tensors_of, write_adapter, write_model

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.errors import ProofError
from ollama_pack.gguf.code_layouts import CODE_LAYOUTS
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.gguf.split import read_parts
from ollama_pack.jobs import several_cores
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.planner import plan_lora
from ollama_pack.merge.keys import MergeLabels
from ollama_pack.merge.plan import TensorDelta, plan_merge
from ollama_pack.merge.write import write_merged
from ollama_pack.verify.merged import prove_merged

Q4_0 = gguf.GGMLQuantizationType.Q4_0
WIDE = replace(
    TINY, hparams=replace(TINY.hparams, hidden=64, feed_forward=64, head_dim=32, heads=2, kv_heads=2)
)
"""A model whose rows are whole blocks."""


@pytest.fixture
def made(tmp_path):
    """Return the adapter, its base, the plan of the merge, and the merged file."""
    base = read_base_gguf(write_model(tmp_path / "base.gguf"))
    adapter = read_adapter(write_adapter(tmp_path / "ada-lora"))
    plan = plan_merge(read_parts(base.gguf), plan_lora(adapter, base), "auto", labels=MergeLabels(name="ada"))
    write_merged(plan, tmp_path / "merged.gguf")
    return adapter, base, plan, tmp_path / "merged.gguf"


def test_it_passes(made):
    """All of ΔW is there, and the figures say how large it is."""
    adapter, base, plan, path = made
    report = prove_merged(adapter, base, path)
    assert report.result.passed
    assert report.total.gain == pytest.approx(1, abs=1e-5)
    assert report.total.cosine == pytest.approx(1, abs=1e-5)
    assert len(report.weights) == len(plan.touched) == 14
    assert report.untouched == len(tensors_of(TINY)) - 14
    assert "byte for byte" in report.result.summary


@pytest.fixture(params=[False, True], ids=["alone", "with helpers"])
def helped(request, monkeypatch):
    """Prove by this process alone, and with the help of others."""
    if request.param:
        monkeypatch.setattr(several_cores, "LEAST_SHARED", 0)
        monkeypatch.setattr(os, "cpu_count", lambda: 3)


def test_helpers_measure_the_same(made, monkeypatch):
    """Whoever measures a weight, its figures are the same to the last digit."""
    adapter, base, _, path = made
    alone = prove_merged(adapter, base, path)
    monkeypatch.setattr(several_cores, "LEAST_SHARED", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert prove_merged(adapter, base, path) == alone


def test_what_was_not_trained_changed(made, helped):
    """One bit of a tensor that the adapter does not touch fails the proof, with the tensor's name."""
    adapter, base, _, path = made
    header = read_gguf(path)
    content = bytearray(path.read_bytes())
    content[header.offsets["blk.1.ffn_norm.weight"] + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ProofError, match="not trained") as caught:
        prove_merged(adapter, base, path)
    assert "blk.1.ffn_norm.weight" in caught.value.where


@pytest.mark.parametrize("fault", ["forgotten", "twice", "half", "other rows", "transposed sign"])
def test_a_change_that_is_wrong(made, helped, tmp_path, fault):
    """A change that was forgotten, doubled, halved, negated or brought to other rows does not keep ΔW."""
    adapter, base, plan, path = made

    def spoil(change: TensorDelta) -> TensorDelta | None:
        if fault == "other rows":
            rows = change.left.rows or tuple(range(change.left.shape[-2]))
            return replace(change, left=change.left._replace(rows=(*rows[1:], rows[0])))
        factor = {"forgotten": 0.0, "twice": 2.0, "half": 0.5, "transposed sign": -1.0}[fault]
        return replace(change, scale=change.scale * factor)

    name = "blk.0.attn_q.weight"
    tensors = tuple(
        replace(tensor, change=spoil(tensor.change)) if tensor.base.name == name else tensor
        for tensor in plan.tensors
    )
    write_merged(replace(plan, tensors=tensors), path)
    report = prove_merged(adapter, base, path)
    weight = next(each for each in report.weights if each.tensor == name)
    assert weight.gain == pytest.approx(2.0, abs=1e-3) if fault == "twice" else weight.gain < 0.9
    assert not report.result.passed
    assert report.result.worst == name


def test_a_key_that_is_not_the_bases(made):
    """A number of the architecture that changed fails the proof; the name of the model may change."""
    adapter, base, plan, path = made
    write_merged(replace(plan, metadata={**plan.metadata, "llama.block_count": 3}), path)
    with pytest.raises(ProofError) as caught:
        prove_merged(adapter, base, path)
    assert "llama.block_count" in caught.value.where


def test_a_tensor_too_few(made, tmp_path):
    """A tensor that is missing is named."""
    adapter, base, plan, path = made
    write_merged(replace(plan, tensors=plan.tensors[:-1]), path)
    with pytest.raises(ProofError, match="only one of the two"):
        prove_merged(adapter, base, path)


def test_the_limit(made):
    """What four bits lose of a small change fails the usual limit, and passes one that the user sets."""
    _, _, _, path = made
    source = path.with_name("wide.gguf")
    small = read_adapter(write_adapter(path.with_name("small-lora"), base=WIDE, alpha=0.02))
    quantise(write_model(path.with_name("f32.gguf"), WIDE), source)
    base = read_base_gguf(source)
    plan = plan_merge(read_parts(source), plan_lora(small, base), "same")
    write_merged(plan, path)
    report = prove_merged(small, base, path)
    assert not report.result.passed
    assert report.result.worst.startswith("blk.")
    assert prove_merged(small, base, path, least=-1e9).result.passed
    write_merged(plan_merge(read_parts(source), plan_lora(small, base), "f32"), path)
    assert prove_merged(small, base, path).result.passed


def test_a_type_that_is_read_wrongly(made, monkeypatch):
    """Merging and the proof read blocks by the same code; a fault of it is found by the gguf library's."""
    _, _, _, path = made
    adapter = read_adapter(write_adapter(path.with_name("wide-lora"), base=WIDE))
    quantise(write_model(path.with_name("f32.gguf"), WIDE), path.with_name("wide.gguf"))
    base = read_base_gguf(path.with_name("wide.gguf"))
    monkeypatch.setitem(CODE_LAYOUTS, Q4_0, CODE_LAYOUTS[Q4_0]._replace(zero=7))
    write_merged(plan_merge(read_parts(base.gguf), plan_lora(adapter, base), "auto"), path)
    with pytest.raises(ProofError, match="differently from the gguf library") as caught:
        prove_merged(adapter, base, path)
    assert caught.value.hint == "report it: ollama_pack/gguf/blocks.py reads Q4_0 wrongly"
    assert str(base.gguf) in caught.value.where


def quantise(source, target):
    """Write a model again with its matrices in Q4_0, by the gguf library alone."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "llama")
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            kind, *inner = field.types
            writer.add_key_value(key, field.contents(), kind, inner[0] if inner else None)
    for tensor in reader.tensors:
        if len(tensor.data.shape) > 1:
            kind = gguf.GGMLQuantizationType.Q4_0
            writer.add_tensor(tensor.name, gguf.quants.quantize(np.array(tensor.data), kind), raw_dtype=kind)
        else:
            writer.add_tensor(tensor.name, tensor.data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
