"""What holds for every row of the table; a new row is under test before its author writes a line."""

import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from archive import GOLDENS
from gguf import MODEL_ARCH_NAMES, GGUFReader
from hypothesis import given
from hypothesis import strategies as st
from sized_rows import (
    adapter_of,
    factors_of,
    in_turn,
    modules_of,
    named,
    sized_base,
    targets,
    total,
)

from ollama_pack.arch import families
from ollama_pack.arch.hparams import HParams, StateSpace
from ollama_pack.arch.spec import EXPERT_INDEX, LAYER_INDEX, Arch, Kind, find_targets
from ollama_pack.arch.table import FAMILIES, all_archs, arch_of_hf_class, require_arch
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import UnsupportedError
from ollama_pack.lora.export import write_lora
from ollama_pack.lora.planner import plan_lora
from ollama_pack.lora.unsupported import RULES, Severity
from ollama_pack.verify.layouts import layout_of
from ollama_pack.verify.tensor_names import parse_module, tensor_names

every_row = pytest.mark.parametrize("arch", all_archs(), ids=lambda arch: arch.name)


@pytest.fixture
def base(arch) -> BaseModel:
    """Return the tiny base as this architecture: untied, three experts, every weight of the row."""
    return sized_base(arch)


@pytest.fixture
def trained(arch, base):
    """Return module → A and B as PEFT would have them, for every weight of the row."""
    found = [named(target.weight, max(target.block, 0), max(target.expert, 0)) for target in targets(arch)]
    return {module: factors_of(arch, module, base) for module in dict.fromkeys(found)}


@pytest.fixture
def converted(arch, base, trained, tmp_path):
    """Return module → its tensors in a GGUF file, as float64: A then B of each."""
    found = {}
    for number, group in enumerate(in_turn(arch, trained)):
        adapter = adapter_of({module: trained[module] for module in group})
        path = tmp_path / f"{number}.gguf"
        write_lora(plan_lora(adapter, base), path, "f32")
        written = {tensor.name: tensor for tensor in GGUFReader(path).tensors}
        for module in group:
            for target in find_targets(arch, module):
                found[module, target.tensor] = tuple(
                    written[f"{target.tensor}.lora_{side}"].data.astype(np.float64) for side in "ab"
                )
    return found


@every_row
@pytest.mark.property
@given(kv_heads=st.integers(1, 40), served=st.integers(1, 12), half=st.integers(1, 80))
def test_orders_are_bijections(arch, kv_heads, served, half):
    """The tensors of a module take each of its rows once, for any heads; and so its columns."""
    sizes = {"heads": kv_heads * served, "kv_heads": kv_heads, "head_dim": 2 * half}
    states = StateSpace(groups=kv_heads, heads=kv_heads * served, state=half, inner=2 * kv_heads * served)
    known = {"hidden": 8, "feed_forward": half, "expert_feed_forward": half, "ssm": states}
    base = BaseModel(hparams=HParams(arch=arch.name, blocks=1, **sizes, **known))
    for weights in modules_of(arch).values():
        for side, orders in ((0, [w.rows for w in weights]), (1, [weights[0].columns])):
            if any(orders):
                shares = [order(base.hparams, total(weights, base, side)) for order in orders]
                assert sorted(row for share in shares for row in share) == list(range(sum(map(len, shares))))
                assert sum(map(len, shares)) == total(weights, base, side)


TOO_NEW = ("hy_v3", "mellum")
"""Architectures that gguf-py on PyPI does not know yet, and llama.cpp does; test_archs.py proves them."""


@every_row
def test_names_agree_with_gguf(arch):
    """gguf-py calls every tensor by the same name, where it knows the module; it shares none out."""
    whole = [weights[0] for weights in modules_of(arch).values() if len(weights) == 1]
    modules = {named(weight, 2, 1): weight.tensor.replace(LAYER_INDEX, "2") for weight in whole}
    if arch.name in TOO_NEW:
        assert arch.name not in MODEL_ARCH_NAMES.values(), "gguf-py knows it now"
        return
    command = [sys.executable, Path(__file__).with_name("ask_gguf.py"), arch.name, json.dumps(list(modules))]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    known = {module: name for module, name in json.loads(answer.stdout).items() if name}
    assert known == {module: modules[module] for module in known}
    assert len(known) >= 3


def held(module, tensor, base, weight) -> np.ndarray:
    """Return what a tensor holds of the weight of a module, as the witness of the proof has it."""
    path = parse_module(module)
    names = tensor_names(path, base)
    layout = layout_of(base.arch, path.words[-1], len(names))
    moved = layout.of_columns(weight, base)
    moved = moved if layout.factor is None else moved * layout.factor(base)
    return layout.of_rows(moved, base)[names.index(tensor)]


@every_row
def test_map_then_multiply(arch, base, trained, converted):
    """ΔW of the file is ΔW of the adapter with its rows moved: the order of steps does not matter."""
    for (module, tensor), (a, b) in converted.items():
        target = next(target for target in find_targets(arch, module) if target.tensor == tensor)
        first, second = (side.astype(np.float64) for side in trained[module])
        if target.weight.kind is Kind.EMBEDDING:
            looked_up = held(module, tensor, base.hparams, (second @ first).T)
            np.testing.assert_allclose(a @ b.T, looked_up, rtol=1e-9, atol=1e-12)
            continue
        turned = target.weight.kind is Kind.EXPERTS_TRANSPOSED
        trained_as = np.swapaxes(second @ first, -1, -2) if turned else second @ first
        wanted = held(module, tensor, base.hparams, trained_as)
        found = b @ a
        if target.expert >= 0:
            assert not np.delete(found, target.expert, axis=0).any(), "an expert without LoRA has some"
            found = found[target.expert]
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12, err_msg=module)


@every_row
def test_rows_without_an_order_are_the_same_bytes(arch, trained, converted):
    """Every A, and every B whose rows stay, has in the file the numbers it was trained with."""
    for (module, tensor), (a, b) in converted.items():
        target = next(target for target in find_targets(arch, module) if target.tensor == tensor)
        if target.expert < 0 and target.weight.kind is not Kind.EMBEDDING:
            if target.weight.kind is Kind.EXPERTS_TRANSPOSED:
                continue
            if target.weight.columns is None:
                assert np.array_equal(a, trained[module][0])
            if target.weight.rows is None and target.weight.scale is None:
                assert np.array_equal(b, trained[module][1])


@pytest.fixture(scope="module")
def alike() -> dict[str, list[str]]:
    """Return a whole row of the table, one line a module → the architectures that have it, by their names."""
    found: dict[str, list[str]] = {}
    for arch in sorted(all_archs(), key=lambda arch: arch.name):
        base = sized_base(arch)
        found.setdefault("".join(line(arch, weight, base) for weight in arch.weights), []).append(arch.name)
    return found


@every_row
def test_golden(arch, alike, golden):
    """The whole row is what a person has read and kept, once for all architectures that have the same."""
    text, names = next((text, names) for text, names in alike.items() if arch.name in names)
    golden(f"archs/{names[0]}.txt", f"{', '.join(names)}\n\n{text}")


def test_every_golden_is_of_a_row(alike):
    """No text is kept of an architecture that has left the table, or that another text names."""
    kept = {path.stem for path in GOLDENS.glob("archs/*.txt")}
    assert kept - {names[0] for names in alike.values()} == set(), (
        "remove these texts from tests/goldens/archs"
    )


def line(arch, weight, base):
    rows = "as is"
    if weight.unsupported:
        assert RULES[weight.unsupported].severity is Severity.UNSUPPORTED
        rows = f"refused: {weight.unsupported}"
    elif weight.rows is not None:
        order = weight.rows(base.hparams, total(modules_of(arch)[weight.module], base))
        rows = f"{' '.join(map(str, order[: base.hparams.head_dim + 2]))} … ({len(order)})"
    names = named(weight, 1, EXPERT_INDEX), weight.tensor.replace(LAYER_INDEX, "1") + ".weight"
    shape = " × ".join(weight.shape)
    kind = "" if weight.kind is Kind.LINEAR else f"; {weight.kind.value}"
    return f"{names[0]:<46}  {names[1]:<26}  {shape:<28}  rows {rows}{kind}\n"


@every_row
def test_modules_are_unique(arch):
    """No module stands in a row twice but as parts of one, and blocks are numbered on both sides."""
    for weights in modules_of(arch).values():
        assert len(weights) == 1 or all(weight.rows for weight in weights)
    assert len({(weight.module, weight.tensor) for weight in arch.weights}) == len(arch.weights)
    assert all((LAYER_INDEX in weight.module) == (LAYER_INDEX in weight.tensor) for weight in arch.weights)
    assert all(weight.has_experts for weight in arch.weights if EXPERT_INDEX in weight.module)


@every_row
def test_row_is_found(arch):
    """A row is found by its name, and its classes name Hugging Face's causal models."""
    assert require_arch(arch.name) is arch
    for found in map(arch_of_hf_class, arch.hf_classes):
        assert found is not None
        assert arch.name in (found.name, *found.alternatives)
    ends = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ChatGLMModel")
    assert all(name.endswith(ends) for name in arch.hf_classes)


def test_names_are_unique():
    """Two rows have neither a name nor a class in common, but for rows of one class."""
    names = [arch.name for arch in all_archs()]
    names += [name for arch in all_archs() for name in arch.hf_classes if arch_of_hf_class(name) is arch]
    assert len(names) == len(set(names))


def test_every_family_is_listed():
    """Each row of each module of ``families/`` is in the list, under its own module."""
    rows = {}
    for found in pkgutil.iter_modules(families.__path__):
        module = importlib.import_module(f"{families.__name__}.{found.name}")
        own = (each for each in vars(module).values() if isinstance(each, Arch))
        rows.update({arch.name: found.name for arch in own})
    assert rows == FAMILIES
    assert [arch.name for arch in all_archs()] == list(FAMILIES)


def test_one_row_loads_one_family():
    """A build imports the family of its base, and no other."""
    code = (
        "import sys\nfrom ollama_pack.arch.table import require_arch\nrequire_arch('qwen3')\n"
        "print(*(name.rpartition('.')[2] for name in sys.modules if '.families.' in name))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.split() == ["qwen"]


def test_unknown_row():
    """Asking for a row that is not there says how to see those that are."""
    with pytest.raises(UnsupportedError, match="'foo'") as caught:
        require_arch("foo")
    assert "ollama-pack archs" in caught.value.hint
