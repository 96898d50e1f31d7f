"""Several adapters become one, exactly."""

import json

import numpy as np
import pytest
from recipes import Recipe, delta_weights, write_adapter

from ollama_pack.adapters import read_adapter
from ollama_pack.adapters.sums import sum_adapters, weigh
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.weights import Weights

V0 = "model.layers.0.self_attn.v_proj"


def delta(pair):
    with Weights() as weights:
        a, b = (weights.float32(side).astype(np.float64) for side in (pair.a, pair.b))
    return pair.scale * (b @ a)


@pytest.fixture
def three(tmp_path):
    """Return three adapters: of other modules, ranks, scales and dtypes."""
    recipes = (
        Recipe(modules=("v_proj", "o_proj"), rank=2, alpha=4),
        Recipe(
            modules=("v_proj", "q_proj"), rank=3, alpha=5, seed=1, config={"use_rslora": True}, dtype="BF16"
        ),
        Recipe(modules=("v_proj",), rank=1, alpha=0.5, seed=2, dtype="F16"),
    )
    return [write_adapter(tmp_path / str(number), recipe) for number, recipe in enumerate(recipes)]


def test_every_module_has_its_sum(three):
    """Each ΔW is the weighted sum of those the adapters have of it; a module of one alone is that one's."""
    weights, scales = (0.7, -2.0, 0.1), (2, 5 / 3**0.5, 0.5)
    summed = sum_adapters([read_adapter(path) for path in three], weights)
    wanted: dict = {}
    for path, weight, scale in zip(three, weights, scales, strict=True):
        for pair in read_adapter(path).pairs:
            each = weight * delta_weights(path, {pair.module: scale})[pair.module]
            wanted[pair.module] = wanted.get(pair.module, 0) + each
    assert [pair.module for pair in summed.pairs] == sorted(wanted)
    for pair in summed.pairs:
        np.testing.assert_allclose(delta(pair), wanted[pair.module], rtol=1e-6, atol=1e-7)
    assert {pair.rank for pair in summed.pairs if pair.module.endswith("v_proj")} == {6}


def test_notes(three):
    """The sum says what it is made of."""
    assert sum_adapters([read_adapter(path) for path in three], (1, 1, 0.5)).notes[-1] == (
        "the sum 1 × 0 + 1 × 1 + 0.5 × 2"
    )


def test_a_single_one(three):
    """A sum of one is that one, weighed; a weight of 1 leaves it untouched."""
    adapter = read_adapter(three[0])
    assert sum_adapters([adapter], (1.0,)) is adapter
    half = weigh(adapter, 0.5)
    assert [pair.alpha for pair in half.pairs] == [pair.alpha / 2 for pair in adapter.pairs]
    assert [pair.b for pair in half.pairs] == [pair.b for pair in adapter.pairs]


def test_equal_scales_touch_no_number(tmp_path):
    """Adapters of one scale are put side by side bit for bit."""
    paths = [write_adapter(tmp_path / str(seed), seed=seed, modules=("v_proj",)) for seed in (1, 2)]
    summed = sum_adapters([read_adapter(path) for path in paths], (1, 1))
    assert all(part in (a.b, b.b) for pair, a, b in zip(
        summed.pairs, *(read_adapter(path).pairs for path in paths), strict=True
    ) for part in pair.b.parts)  # fmt: skip


def test_shapes_that_differ(tmp_path):
    """Adapters of two bases that are not of one size have no sum."""
    from dataclasses import replace

    from recipes import TINY

    one = write_adapter(tmp_path / "one", modules=("v_proj",))
    other = write_adapter(tmp_path / "other", modules=("v_proj",), base=replace(TINY, hidden=24))
    with pytest.raises(InputError, match="several shapes"):
        sum_adapters([read_adapter(one), read_adapter(other)], (1, 1))


def test_other_invocations(tmp_path):
    """Adapters that become active at different tokens have no sum."""
    one = write_adapter(tmp_path / "one")
    other = write_adapter(tmp_path / "other", config={"alora_invocation_tokens": [1]})
    with pytest.raises(UnsupportedError, match="different tokens"):
        sum_adapters([read_adapter(one), read_adapter(other)], (1, 1))


def test_vera_with_another_method(tmp_path):
    """VeRA's A is as wide as its widest weight, so it is summed with VeRA alone."""
    from dataclasses import replace

    adapter = read_adapter(write_adapter(tmp_path / "one"))
    with pytest.raises(UnsupportedError, match="VeRA"):
        sum_adapters([adapter, replace(adapter, method="VeRA")], (1, 1))


def test_look_at_numbers(make_adapter):
    """NaN and infinity are told with every tensor and how many numbers, whatever the dtype."""
    root = f"base_model.model.{V0}.lora_"
    for dtype in ("F32", "F16", "BF16"):
        bad = np.ones((3, 20))
        bad[0, :2] = np.nan, np.inf
        directory = make_adapter(extra={f"{root}A.weight": bad}, dtype=dtype)
        with pytest.raises(InputError, match=r"lora_A.weight: 2 of 60 numbers"):
            read_adapter(directory)


@pytest.mark.parametrize("zero", [0.0, -0.0])
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_noop(make_adapter, zero, dtype):
    """An adapter whose every B is zero is told, unless it is meant; one B that is not is enough."""
    root, q0 = "base_model.model.", "model.layers.0.self_attn.q_proj"
    extra = {
        f"{root}{V0}.lora_B.weight": np.full((12, 3), zero),
        f"{root}{q0}.lora_B.weight": np.ones((24, 3)),
    }
    modules = {"modules": ("v_proj", "q_proj"), "layers": (0,), "dtype": dtype}
    assert len(read_adapter(make_adapter(extra=extra, **modules)).pairs) == 2
    extra[f"{root}{q0}.lora_B.weight"] = np.full((24, 3), zero)
    directory = make_adapter(extra=extra, **modules)
    with pytest.raises(InputError, match="does nothing"):
        read_adapter(directory)
    assert len(read_adapter(directory, allow_noop=True).pairs) == 2


def test_alpha_of_zero(make_adapter):
    """An alpha of 0 does nothing to PEFT, and would be a scale of 1 to llama.cpp."""
    directory = make_adapter(alpha=0)
    with pytest.raises(InputError, match="lora_alpha is 0"):
        read_adapter(directory)
    config = json.loads((directory / "adapter_config.json").read_text())
    (directory / "adapter_config.json").write_text(json.dumps({**config, "alpha_pattern": {"v_proj": 3}}))
    scales = {pair.scale for pair in read_adapter(directory).pairs}
    assert scales == {0.0, 1.0}
