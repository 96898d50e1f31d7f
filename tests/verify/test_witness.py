"""The witness of the proof: what it states is what llama.cpp's converter does."""

from dataclasses import replace

import numpy as np
import pytest
from archive import names_of, unpacked
from sized_rows import adapter_of, factors_of, matrix, named, sized_base, targets

from ollama_pack.arch.spec import Kind, find_targets
from ollama_pack.arch.table import all_archs, require_arch
from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.errors import ProofError
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.lora.peft.safetensors_header import read_safetensors
from ollama_pack.verify.layouts import LAYOUTS, experts_are_turned, layout_of
from ollama_pack.verify.reference import find_references
from ollama_pack.verify.tensor_names import parse_module, tensor_names

RECORDS = "archs-foreign"
RECORDED = names_of(RECORDS)
STORED_IN_OUT = ("jais",)
"""Architectures whose linear weights are stored in × out."""

every_row = pytest.mark.parametrize("arch", all_archs(), ids=lambda arch: arch.name)


@pytest.mark.parametrize("name", RECORDED)
def test_the_witness_is_the_converter(name):
    """Each weight of a recorded class, laid out by the witness, is what llama.cpp's converter wrote."""
    folder = unpacked(RECORDS, name)
    path = folder / "base.gguf"
    base, written, checked = read_base_gguf(path), read_gguf(path), 0
    with TensorReader() as source:
        for tensor, stored in read_safetensors(folder / "weights.safetensors").items():
            module = parse_module(tensor.removesuffix(".weight"))
            own = base.hparams.at_layer(module.block)
            known = find_targets(require_arch(own.arch), tensor.removesuffix(".weight"))
            if not known or known[0].weight.unsupported:
                continue
            leaf, arch, names = module.words[-1], own.arch, tensor_names(module, own)
            weight, layout = source.float32(stored), layout_of(arch, leaf, len(names))
            turned = experts_are_turned(arch, {}) and weight.ndim > 2
            if turned or (arch in STORED_IN_OUT and weight.ndim == 2):
                weight = weight.swapaxes(-1, -2)
            parts = layout.of_rows(layout.of_columns(weight, own), own)
            for part, wanted in zip(parts, names, strict=True):
                found = source.float32(written.stored(wanted))
                assert np.array_equal(found[module.expert] if module.expert >= 0 else found, part), tensor
                checked += 1
    assert checked >= 5


def test_records_are_found():
    """There are records of the converter to compare with: without any, the test above would be empty."""
    assert len(RECORDED) >= 30


@every_row
def test_every_row_goes_somewhere(arch):
    """The tensors of a module hold each of its rows once, and each of its columns."""
    base = sized_base(arch).hparams
    for target in targets(arch):
        module = named(target.weight, max(target.block, 0))
        rows = sum(matrix(each, sized_base(arch))[0] for each in find_targets(arch, module))
        columns = matrix(target, sized_base(arch))[1]
        layout = layout_of(arch.name, module.rpartition(".")[2], len(find_targets(arch, module)))
        held = layout.of_rows(np.arange(rows)[:, None], base)
        assert sorted(np.concatenate(held)[:, 0]) == list(range(rows))
        assert sorted(layout.of_columns(np.arange(columns)[None], base)[0]) == list(range(columns))


@every_row
def test_names_are_those_of_the_table(arch):
    """Both statements of where a module goes agree, in bases with experts and without."""
    for experts in (0, 3):
        base = replace(sized_base(arch).hparams, experts=experts)
        for target in targets(arch):
            module = named(target.weight, max(target.block, 0))
            found = find_targets(arch, module, mixture=experts > 0)
            assert tensor_names(parse_module(module), base) == tuple(each.tensor for each in found)


def test_every_statement_is_used():
    """No layout is stated of a module that its architecture does not have."""
    modules = {(arch.name, each.module.rpartition(".")[2]) for arch in all_archs() for each in arch.weights}
    assert set(LAYOUTS) <= modules


@every_row
def test_every_change_of_a_row_is_stated(arch):
    """Each weight that the table moves or multiplies, or shares out, has a layout of its own here."""
    for weight in arch.weights:
        if not weight.unsupported and (weight.rows or weight.columns or weight.scale):
            parts = sum(each.module == weight.module for each in arch.weights)
            layout = layout_of(arch.name, weight.module.rpartition(".")[2], parts)
            assert (layout.rows is None, layout.columns is None, layout.factor is None) == (
                weight.rows is None,
                weight.columns is None,
                weight.scale is None,
            )


@pytest.mark.parametrize("module", ["model.layers.0.self_attn.z_proj", "model.norm", "model.layers.0"])
def test_unknown_module(module):
    """A module that the witness has no statement of fails the proof, by name."""
    arch = all_archs()[0]
    weight = "model.layers.0.self_attn.q_proj"
    adapter = adapter_of({module: factors_of(arch, weight, sized_base(arch))})
    with pytest.raises(ProofError, match=f"does not know where llama.cpp holds {module}"):
        find_references(adapter, sized_base(arch))


@pytest.mark.parametrize(
    ("arch", "config", "turned"),
    [
        ("llama4", {}, True),
        ("gpt-oss", {"target_parameters": ["x"], "peft_version": "0.17.1"}, False),
        ("qwen3moe", {"target_parameters": ["x"], "peft_version": "0.18.2.dev0"}, True),
        ("qwen3moe", {"target_parameters": ["x"], "peft_version": "0.18rc1"}, True),
        ("qwen3moe", {"target_parameters": ["x"], "peft_version": "0.19.0"}, False),
        ("qwen3moe", {"target_parameters": ["x"], "peft_version": "1.2"}, False),
        ("qwen3moe", {"target_parameters": ["x"], "peft_version": "nightly"}, False),
        ("qwen3moe", {"target_parameters": ["x"]}, True),
        ("qwen3moe", {"peft_version": "0.17.1"}, False),
    ],
)
def test_square_experts(arch, config, turned):
    """Which way round square experts were trained follows from the architecture and the version of PEFT."""
    assert experts_are_turned(arch, config) is turned


def test_kinds_of_the_table_are_stated():
    """Every architecture whose experts are stored in × out is stated here as one."""
    old = {"target_parameters": ["x"], "peft_version": "0.17.1"}
    kinds = {
        Kind.EXPERTS_TRANSPOSED: {arch.name for arch in all_archs() if experts_are_turned(arch.name, {})},
        Kind.EXPERTS_IN_OUT: {arch.name for arch in all_archs() if not experts_are_turned(arch.name, old)},
    }
    for kind, stated in kinds.items():
        assert stated == {
            arch.name for arch in all_archs() if any(weight.kind is kind for weight in arch.weights)
        }
