"""Laws of reading: order never matters, sums are exact, and damage is told, never a traceback."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipes import TINY, Recipe, factors, resized, safetensors, write_adapter
from strategies import alphas, dtypes, recipes

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.lora.combine import sum_adapters
from ollama_pack.lora.export import write_lora
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.planner import plan_lora

pytestmark = pytest.mark.property
some = settings(max_examples=40)


@some
@given(recipes, st.randoms(use_true_random=False))
def test_order_of_tensors_never_matters(recipe, random):
    """However the file lists its tensors, the GGUF file is the same, byte for byte."""
    with TemporaryDirectory() as room:
        digests = []
        for shuffle in (False, True):
            directory = write_adapter(Path(room) / str(shuffle), recipe)
            if shuffle:
                tensors = list(factors(recipe).items())
                random.shuffle(tensors)
                content = safetensors(dict(tensors), recipe.dtype)
                (directory / "adapter_model.safetensors").write_bytes(content)
            plan = plan_lora(read_adapter(directory), recipe.base)
            digests.append(write_lora(plan, Path(room) / f"{shuffle}.gguf", "f32").digest)
    assert digests[0] == digests[1]


terms = st.lists(
    st.tuples(
        st.builds(
            Recipe,
            modules=st.sampled_from([("v_proj",), ("v_proj", "q_proj"), ("down_proj", "v_proj")]),
            rank=st.integers(1, 4),
            alpha=alphas,
            dtype=dtypes,
            seed=st.integers(0, 2**32),
            config=st.fixed_dictionaries({"use_rslora": st.booleans()}),
        ),
        st.floats(-3, 3).filter(lambda weight: abs(weight) > 1e-3),
    ),
    min_size=1,
    max_size=4,
)


def deltas(adapter, weight=1.0):
    with TensorReader() as weights:
        return {
            pair.module: weight * pair.scale * (
                weights.float32(pair.b).astype(np.float64) @ weights.float32(pair.a).astype(np.float64)
            )
            for pair in adapter.pairs
        }  # fmt: skip


@some
@given(terms)
def test_concatenation_equals_the_sum(terms):
    """Ranks side by side multiply to the weighted sum of all ΔW, within a few float32 roundings."""
    with TemporaryDirectory() as room:
        paths = [write_adapter(Path(room) / str(n), recipe) for n, (recipe, _) in enumerate(terms)]
        adapters, weights = [read_adapter(path) for path in paths], [weight for _, weight in terms]
        found = deltas(sum_adapters(adapters, weights))
        wanted: dict = {}
        for adapter, weight in zip(adapters, weights, strict=True):
            for module, delta in deltas(adapter, weight).items():
                wanted.setdefault(module, []).append(delta)
    assert found.keys() == wanted.keys()
    for module, parts in wanted.items():
        size = sum(np.abs(part).max() for part in parts)
        np.testing.assert_allclose(found[module], sum(parts), atol=1e-5 * size)


def damaged(spoil, name):
    """Return what becomes of an adapter with one spoilt file: nothing, or an error that may be raised."""
    with TemporaryDirectory() as room:
        directory = write_adapter(Path(room) / "ada", modules=("q_proj",), layers=(0,), rank=1)
        path = directory / name
        content = bytearray(path.read_bytes())
        path.write_bytes(spoil(content))
        try:
            plan_lora(read_adapter(directory), resized(TINY, tied=True))
        except (InputError, UnsupportedError) as error:
            return error
    return None


FILES = st.sampled_from(["adapter_model.safetensors", "adapter_config.json"])


@given(FILES, st.floats(0, 1, exclude_max=True))
def test_any_truncation_is_told(name, share):
    """A file that ends early is an InputError, wherever it ends."""
    error = damaged(lambda content: bytes(content[: int(len(content) * share)]), name)
    assert isinstance(error, InputError)
    assert str(error)


@settings(max_examples=400)
@given(FILES, st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_any_flipped_bit_is_told_or_harmless(name, share, bit):
    """A flipped bit of header, JSON or numbers is told, or makes another valid adapter; never a traceback."""

    def flip(content):
        content[int(len(content) * share)] ^= 1 << bit
        return bytes(content)

    error = damaged(flip, name)
    assert error is None or (error.exit_code in (3, 4) and str(error))


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
), st.sampled_from([
    "r", "lora_alpha", "rank_pattern", "alpha_pattern", "peft_type", "target_parameters", "use_rslora",
    "modules_to_save", "alora_invocation_tokens", "init_lora_weights", "base_model_name_or_path", "bias",
    "lora_parameters", "fine_tune_type", "peft_version", "use_dora",
]))  # fmt: skip
def test_any_setting_is_told_or_harmless(value, key):
    """Whatever JSON stands behind a key, it is read or told; never a traceback."""

    def change(content):
        return json.dumps({**json.loads(content), key: value}).encode()

    error = damaged(change, "adapter_config.json")
    assert error is None or (error.exit_code in (3, 4) and str(error))
