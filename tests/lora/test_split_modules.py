"""Parts that the base has in one weight become one LoRA: each at its rows, each with its own scale."""

from pathlib import Path

import numpy as np
import pytest
from recipes import TINY, resized

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.adapter import Adapter, LoraPair
from ollama_pack.lora.planner import plan_lora
from ollama_pack.lora.split_modules import join_split_modules

RANDOM = np.random.default_rng(5)
PHI = resized(TINY, arch="phi3")
ROWS = {"q_proj": 24, "k_proj": 12, "v_proj": 12, "gate_proj": 28, "up_proj": 28, "qkv_proj": 48}
STARTS = {"q_proj": 0, "k_proj": 24, "v_proj": 36, "gate_proj": 0, "up_proj": 28}


def pair(name, rank=2, alpha=3.0, rows=0, layer=0):
    owner = "mlp" if name in ("gate_proj", "up_proj", "gate_up_proj") else "self_attn"

    def tensor(*shape):
        numbers = RANDOM.normal(size=shape).astype(np.float32)
        return LazyTensor(Path("x"), name, shape, (), lambda: numbers)

    module = f"model.layers.{layer}.{owner}.{name}"
    return LoraPair(module, tensor(rank, 20), tensor(rows or ROWS[name], rank), alpha)


def adapter(*pairs):
    return Adapter(Path("d"), Path("d/weights"), pairs, 2, 3.0, "", {})


def delta(each):
    with TensorReader() as weights:
        return each.scale * (weights.float32(each.b).astype(np.float64) @ weights.float32(each.a))


@pytest.mark.parametrize(
    "names",
    [
        ("q_proj", "k_proj", "v_proj"),
        ("v_proj", "q_proj"),
        ("k_proj",),
        ("gate_proj", "up_proj"),
        ("up_proj",),
    ],
    ids=" ".join,
)
def test_joined(names):
    """The whole has the ΔW of each part at its rows, and zeros where a part was not trained."""
    parts = [pair(name, rank=2 + place, alpha=1.0 + place) for place, name in enumerate(names)]
    joined = join_split_modules(adapter(*parts), PHI)
    (whole,) = joined.pairs
    found = delta(whole)
    wanted = np.zeros((48 if whole.module.endswith("qkv_proj") else 56, 20))
    for part, name in zip(parts, names, strict=True):
        wanted[STARTS[name] : STARTS[name] + ROWS[name]] = delta(part)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert any("joined into" in note for note in joined.notes)
    assert len(plan_lora(joined, PHI).tensors) == 2


def test_each_layer_is_joined_by_itself():
    """Parts of two layers make two weights."""
    parts = [pair(name, layer=layer) for layer in (0, 1) for name in ("q_proj", "v_proj")]
    joined = join_split_modules(adapter(*parts), PHI)
    assert [each.module for each in joined.pairs] == [f"model.layers.{i}.self_attn.qkv_proj" for i in (0, 1)]


@pytest.mark.parametrize("arch", ["llama", "from-the-future"])
def test_what_the_base_has_stays(arch):
    """A base with the parts themselves, or one that nobody knows, gets the same object back."""
    trained = adapter(pair("q_proj"), pair("gate_proj"))
    assert join_split_modules(trained, resized(TINY, arch=arch)) is trained


def test_a_whole_stays():
    """A module that the base has itself is not touched."""
    trained = adapter(pair("qkv_proj"))
    assert join_split_modules(trained, PHI) is trained


def test_a_part_of_another_size():
    """A part with other rows than the base gives it is told with its module and both numbers."""
    with pytest.raises(InputError, match=r"k_proj: the adapter has 13 rows, the base has 12"):
        join_split_modules(adapter(pair("k_proj", rows=13)), PHI)


def test_a_whole_and_its_parts():
    """A weight that was trained as a whole and in parts is there twice."""
    with pytest.raises(InputError, match="twice"):
        join_split_modules(adapter(pair("qkv_proj"), pair("q_proj")), PHI)


def test_a_base_without_sizes():
    """A base that does not tell the size of a part is named as the reason."""
    with pytest.raises(UnsupportedError, match="up_proj"):
        join_split_modules(adapter(pair("up_proj")), resized(PHI, feed_forward=0))


PHI2 = resized(TINY, arch="phi2", kv_heads=4, tied=False)


def old_pair(module, out, width):
    made = pair("q_proj", rows=out)
    a = LazyTensor(Path("x"), module, (2, width), (), lambda: np.ones((2, width), np.float32))
    return made._replace(module=module, a=a if width != 20 else made.a)


@pytest.mark.parametrize("layer", ["transformer.h.1", "model.layers.1"])
def test_phi_of_2023(layer):
    """Microsoft's own modules have the names of today; q, k and v are the thirds of one weight."""
    trained = adapter(
        old_pair(f"{layer}.mixer.Wqkv", 72, 20), old_pair(f"{layer}.mixer.out_proj", 20, 24),
        old_pair(f"{layer}.mlp.fc1", 28, 20), old_pair("lm_head.linear", 50, 20),
    )  # fmt: skip
    found = join_split_modules(trained, PHI2)
    names = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.dense", "mlp.fc1"]
    assert [each.module for each in found.pairs] == [*(f"model.layers.1.{name}" for name in names), "lm_head"]
    whole = np.concatenate([delta(each) for each in found.pairs[:3]])
    np.testing.assert_allclose(whole, delta(trained.pairs[0]), rtol=1e-6)
    assert len(plan_lora(found, PHI2).tensors) == 12
    assert any("2023" in note for note in found.notes)


def test_phi_of_today_stays():
    """Modules of transformers are not touched."""
    trained = adapter(pair("q_proj"), pair("k_proj"))
    assert join_split_modules(trained, PHI2) is trained


def test_a_part_that_takes_its_size_from_the_base():
    """A method that needs the size of its weight gets the size of the part."""
    part = pair("k_proj")
    seen = []

    def fit(out, width):
        seen.append((out, width))
        return part.a, part.b

    (whole,) = join_split_modules(adapter(part._replace(fit=fit)), PHI).pairs
    assert (seen, whole.fit) == ([(12, 20)], None)
