"""The proof of numbers against wrong rows: whatever the mapping gets wrong about one weight, it fails.

Before the proof had a witness of its own it called the mapping, and every one of these mutants passed.
"""

from collections import Counter
from dataclasses import replace

import pytest
from mutants import BLOCK, SQUARE, Mutant, changed, mutants_of
from sized_rows import adapter_of, factors_of, in_turn, sized_base

from ollama_pack.arch.table import all_archs, require_arch
from ollama_pack.errors import PackError, ProofError
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora import fused_tensors, planner, tensor_mapping
from ollama_pack.lora.export import write_lora
from ollama_pack.lora.planner import plan_lora
from ollama_pack.verify.numbers import prove_numbers, require_passed

every_row = pytest.mark.parametrize("arch", all_archs(), ids=lambda arch: arch.name)


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch) -> None:
    """Write thousands of files without bringing each to the disk."""
    monkeypatch.setattr("os.fsync", lambda _: None)


def convert_and_prove(adapter, base, folder):
    """Write an adapter and prove it, as a conversion does."""
    path = folder / "lora.gguf"
    path.unlink(missing_ok=True)  # replacing a file makes some file systems wait for the disk
    write_lora(plan_lora(adapter, base), path, "f32")
    return require_passed(prove_numbers(adapter, base, path), path)


def swap_experts(tensor):
    """Return a tensor with its first and its last expert exchanged."""
    order = [tensor.shape[0] - 1, *range(1, tensor.shape[0] - 1), 0]
    return LazyTensor(tensor.path, tensor.name, tensor.shape, (tensor,), lambda numbers: numbers[order])


def with_swapped_experts(name):
    """Return a mapping that exchanges two experts of one tensor."""

    def mapping(adapter, base, arch):
        return tuple(
            slot._replace(pair=slot.pair._replace(a=swap_experts(slot.pair.a), b=swap_experts(slot.pair.b)))
            if slot.tensor == name
            else slot
            for slot in tensor_mapping.map_pairs_to_tensors(adapter, base, arch)
        )

    return mapping


def outcome(mutant: Mutant, folder) -> str:
    """Return how a conversion with a mutant ends."""
    true = require_arch(mutant.arch.name)
    factors = {name: factors_of(true, name, mutant.base, mutant.unknown) for name in mutant.modules}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "require_arch", lambda _: mutant.arch)
        if mutant.exchanged:
            patch.setattr(planner, "map_pairs_to_tensors", with_swapped_experts(mutant.exchanged))
        try:
            convert_and_prove(adapter_of(factors, mutant.config), mutant.base, folder)
        except PackError as error:
            return f"exit {error.exit_code}" if error.exit_code == 5 else f"exit {error.exit_code}: {error}"
    return "passed"


@every_row
def test_no_mutant_passes(arch, tmp_path):
    """Each mutant of a row is converted and fails its proof: exit 5, and nothing else stops it before."""
    mutants = list(mutants_of(arch))
    outcomes = {mutant.what: outcome(mutant, tmp_path) for mutant in mutants}
    assert {what: how for what, how in outcomes.items() if how != "exit 5"} == {}
    assert len(outcomes) == len(mutants)
    kinds = Counter(mutant.kind for mutant in mutants)
    assert min(kinds[kind] for kind in ("rows", "columns", "scale", "kind", "name")) > 0


@every_row
def test_every_true_row_passes(arch, tmp_path):
    """With the row as it is, all that its mutants convert passes: the error alone makes them fail."""
    settings = {
        (id(mutant.base), mutant.unknown, str(mutant.config)): (mutant.base, mutant.unknown, mutant.config)
        for mutant in mutants_of(arch)
    }
    modules = dict.fromkeys(name for mutant in mutants_of(arch) for name in mutant.modules)
    for base, unknown, config in settings.values():
        for group in in_turn(arch, modules):
            factors = {module: factors_of(arch, module, base, unknown) for module in group}
            assert convert_and_prove(adapter_of(factors, config), base, tmp_path).passed


FEWEST = {
    "rows": 1164,
    "columns": 1078,
    "scale": 2154,
    "split": 91,
    "stack": 238,
    "kind": 1071,
    "name": 804,
}
"""Kind of error → the number of mutants, 6600 in all; a new architecture adds to it, nothing takes away."""


def test_mutants_are_many():
    """Every kind of error is tried, of every row that can have it, and no mutant has gone missing."""
    kinds: Counter[str] = Counter()
    for arch in all_archs():
        own = Counter(mutant.kind for mutant in mutants_of(arch))
        kinds += own
        parts = Counter(weight.module for weight in arch.weights if not weight.unsupported)
        assert (own["split"] > 0) == (max(parts.values()) > 1)
        assert own["stack"] == sum(weight.has_experts and not weight.unsupported for weight in arch.weights)
    assert kinds.keys() == FEWEST.keys()
    assert {kind: count for kind, count in kinds.items() if count < FEWEST[kind]} == {}


EXCHANGED_SECTIONS = {
    "attn_qkv": ("attn_k", "attn_q", "attn_v"),
    "ffn_gate_up_exps": ("ffn_up_exps", "ffn_gate_exps"),
}


@pytest.mark.parametrize(
    ("arch", "modules", "there"),
    [
        ("qwen3", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), {"attn_qkv": (72, 24)}),
        ("qwen3", ("self_attn.k_proj",), {"attn_qkv": (72, 24)}),
        ("llama", ("self_attn.q_proj", "self_attn.k_proj"), {"attn_qkv": (72, 24)}),
        ("qwen3moe", ("mlp.experts.gate_up_proj",), {"ffn_gate_up_exps": (3, 48, 24)}),
        ("qwen3moe", ("mlp.experts.0.up_proj", "mlp.experts.2.gate_proj"), {"ffn_gate_up_exps": (3, 48, 24)}),
        ("phi3", ("self_attn.qkv_proj",), dict.fromkeys(("attn_q", "attn_k", "attn_v"), (24, 24))),
        ("gemma4", ("experts.gate_up_proj",), dict.fromkeys(("ffn_gate_exps", "ffn_up_exps"), (3, 12, 24))),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_sections_of_other_layouts(arch, modules, there, tmp_path, monkeypatch):
    """In a base that joins tensors, or has them apart, exchanged sections fail and right ones pass."""
    row, base = require_arch(arch), sized_base(require_arch(arch), **SQUARE)
    names = [f"model.layers.{BLOCK}.{module}" for module in modules]
    adapter = adapter_of({name: factors_of(row, name, base, SQUARE["unknown"]) for name in names})
    base = replace(base, tensors={f"blk.{BLOCK}.{name}.weight": shape for name, shape in there.items()})
    report = convert_and_prove(adapter, base, tmp_path)
    assert report.passed
    monkeypatch.setattr(fused_tensors, "FUSED_TENSORS", EXCHANGED_SECTIONS)
    with pytest.raises(ProofError):
        convert_and_prove(adapter, base, tmp_path)


def test_the_name_in_a_base_without_experts(tmp_path, monkeypatch):
    """A name that holds in mixtures alone fails in a Granite 4 without experts."""
    row, module = require_arch("granitehybrid"), f"model.layers.{BLOCK}.shared_mlp.input_linear"
    dense = replace(sized_base(row, experts=0), tensors=None)
    adapter = adapter_of({module: factors_of(row, module, dense)})
    assert convert_and_prove(adapter, dense, tmp_path).passed
    parts = [weight for weight in row.weights if weight.dense_tensor]
    wrong = changed(row, *((weight, {"dense_tensor": ""}) for weight in parts))
    monkeypatch.setattr(planner, "require_arch", lambda _: wrong)
    with pytest.raises(ProofError, match="The file has no lora_a"):
        convert_and_prove(adapter, dense, tmp_path)
