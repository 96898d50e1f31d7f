"""Several adapters become one, exactly."""

from dataclasses import replace

import numpy as np
import pytest
from recipes import TINY, Recipe, delta_weights, resized, write_adapter

from ollama_pack.errors import InputError, PackError, UnsupportedError
from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.lora.combine import scale_adapter, sum_adapters
from ollama_pack.lora.pairs import fitted_pair
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.planner import plan_lora


def delta(pair):
    with TensorReader() as weights:
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
    half = scale_adapter(adapter, 0.5)
    assert [pair.alpha for pair in half.pairs] == [pair.alpha / 2 for pair in adapter.pairs]
    assert [pair.b for pair in half.pairs] == [pair.b for pair in adapter.pairs]


def test_equal_scales_touch_no_number(tmp_path):
    """Adapters of one scale are put side by side bit for bit."""
    paths = [write_adapter(tmp_path / str(seed), seed=seed, modules=("v_proj",)) for seed in (1, 2)]
    summed = sum_adapters([read_adapter(path) for path in paths], (1, 1))
    assert all(part in (a.b, b.b) for pair, a, b in zip(
        summed.pairs, *(read_adapter(path).pairs for path in paths), strict=True
    ) for part in pair.b.inputs)  # fmt: skip


def test_shapes_that_differ(tmp_path):
    """Adapters of two bases that are not of one size have no sum."""
    one = write_adapter(tmp_path / "one", modules=("v_proj",))
    other = write_adapter(tmp_path / "other", modules=("v_proj",), base=resized(TINY, hidden=24))
    with pytest.raises(InputError, match="a different shape in each"):
        sum_adapters([read_adapter(one), read_adapter(other)], (1, 1))


def test_other_invocations(tmp_path):
    """Adapters that become active at different tokens have no sum."""
    one = write_adapter(tmp_path / "one")
    other = write_adapter(tmp_path / "other", config={"alora_invocation_tokens": [1]})
    with pytest.raises(UnsupportedError, match="different tokens"):
        sum_adapters([read_adapter(one), read_adapter(other)], (1, 1))


def test_vera_with_another_method(tmp_path):
    """What takes the size of its factors from the base is summed with its like alone."""
    adapter = read_adapter(write_adapter(tmp_path / "one"))
    vera = replace(
        adapter,
        method="VeRA",
        pairs=tuple(pair._replace(fit=lambda _, __, pair=pair: (pair.a, pair.b)) for pair in adapter.pairs),
    )
    for adapters in ([adapter, vera], [vera, adapter]):
        with pytest.raises(UnsupportedError, match="only with VeRA"):
            sum_adapters(adapters, (1, 1))
    both = sum_adapters([vera, vera], (1, 1)).pairs[0]
    out, width = both.b.shape[0], both.a.shape[1]
    np.testing.assert_allclose(delta(fitted_pair(both, out, width)), 2 * delta(adapter.pairs[0]), rtol=1e-6)


@pytest.mark.parametrize("scale", [1e39, -1e39, 1e300], ids=repr)
def test_scales_beyond_float32(make_adapter, scale):
    """A weight that float32 does not hold is told, rather than a traceback."""
    adapter = scale_adapter(read_adapter(make_adapter()), scale)
    with pytest.raises(PackError):
        plan_lora(adapter, TINY)
