"""What lies in an adapter beside its factors: left out and told where it changes nothing, else refused."""

import json
import re

import numpy as np
import pytest
from recipes import Recipe, factors, with_header

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.lora.peft.keys import is_tower
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.unsupported import RULES

ROOT = "base_model.model."
Q0 = "model.layers.0.self_attn.q_proj"
EYES = "model.vision_tower.encoder.layers.0.self_attn.q_proj"
ONE = {"modules": ("q_proj",), "layers": (0,)}


def eyes(a, b, name=EYES):
    return {
        f"{ROOT}{name}.lora_A.weight": np.full((3, 4), a),
        f"{ROOT}{name}.lora_B.weight": np.full((5, 3), b),
    }


@pytest.mark.parametrize(("a", "b"), [(1, 0), (0, 1), (1, -0.0)])
def test_a_tower_that_was_never_trained(make_adapter, a, b):
    """A LoRA on a tower whose product is zero changes nothing: it is left out, and told."""
    adapter = read_adapter(
        make_adapter(extra={**eyes(a, b), **eyes(a, b, "model.visual.blocks.1.qkv")}, **ONE)
    )
    assert [pair.module for pair in adapter.pairs] == [Q0]
    assert any("left out: 2 weights of a vision or audio tower" in note for note in adapter.notes)


def test_a_tower_that_was_trained(make_adapter):
    """What was trained of a tower is refused by name, and what was not is not named."""
    extra = {**eyes(1, 1), **eyes(1, 0, "model.visual.blocks.1.qkv")}
    with pytest.raises(UnsupportedError, match="vision or audio tower") as caught:
        read_adapter(make_adapter(extra=extra, **ONE))
    assert EYES in caught.value.what
    assert "blocks" not in caught.value.what
    assert "exclude_modules" in caught.value.hint


TOWERS = [
    EYES,
    "model.visual.blocks.1.attn.qkv",
    "model.multi_modal_projector.linear_1",
    "audio_tower.layers.0.fc1",
    "model.mm_projector.0",
    "model.connector.modality_projection.proj",
    "vpm.encoder.layers.0.self_attn.q_proj",
    "model.aligner.layers.0",
    "llm.apm.layers.3.fc1",
    "model.resampler.kv_proj",
    "img_projection.0",
]


@pytest.mark.parametrize("module", [*TOWERS, Q0, "model.language_model.layers.3.mlp.up_proj", "lm_head"])
def test_the_pattern_that_leaves_towers_out(module):
    """The pattern of the hint, as PEFT matches it, leaves out the modules of towers and no others."""
    found = re.search(r'exclude_modules=r"([^"]+)"', RULES["vision"].hint)
    assert (re.fullmatch(found[1], module) is not None) is (module in TOWERS)
    assert is_tower(module) is (module in TOWERS)


def test_a_tower_alone(make_adapter):
    """An adapter that only a tower has, and that is zero there, does nothing."""
    with pytest.raises(InputError, match="does nothing"):
        read_adapter(make_adapter(extra=eyes(1, 0), layers=()))


DROPPED = {
    "v_head.summary.weight": "value head",
    "v_head.summary.bias": "value head",
    f"{ROOT}{Q0}.base_layer.weight": "frozen copies",
    f"{ROOT}{Q0}.base_layer.bias": "frozen copies",
    f"{ROOT}{Q0}.base_layer.weight.absmax": "frozen copies",
    f"{ROOT}model.norm.original_module.weight": "frozen copies",
    f"{ROOT}model.rotary_emb.inv_freq": "rotary frequencies",
    f"{ROOT}model.layers.0.self_attn.rotary_emb.inv_freq": "rotary frequencies",
}


@pytest.mark.parametrize(("name", "what"), DROPPED.items(), ids=DROPPED)
def test_what_is_left_out(make_adapter, name, what):
    """What a trainer leaves and training did not change is left out, and told."""
    adapter = read_adapter(make_adapter(extra={name: np.ones(4)}, **ONE))
    assert [pair.module for pair in adapter.pairs] == [Q0]
    assert [note for note in adapter.notes if note.startswith("left out: 1 ") and what in note]


def whole_state(modules=("q_proj",)):
    """Return what else the state of a whole model has."""
    names = [f"{Q0}.base_layer.weight", "model.norm.weight", "model.embed_tokens.weight", "lm_head.weight"]
    names += ["model.layers.0.mlp.up_proj.weight", "model.layers.0.self_attn.k_proj.bias"]
    return {ROOT + name: np.ones((2, 2)) for name in names}


def test_a_whole_state(make_adapter):
    """The state of a whole model has copies of all weights that PEFT froze."""
    adapter = read_adapter(make_adapter(extra=whole_state(), prefix=f"{ROOT}", **ONE))
    assert any("left out: 6 frozen copies" in note for note in adapter.notes)


@pytest.mark.parametrize(
    ("config", "extra", "kind"),
    [
        pytest.param({"bias": "all"}, (), "trained biases", id="its biases were trained"),
        pytest.param({"modules_to_save": ["norm"]}, (), "norms", id="a norm was trained"),
        pytest.param({}, ("lm_head.modules_to_save.default.weight",), "head", id="a copy was trained"),
        pytest.param({}, (f"{Q0}.lora_magnitude_vector.default",), "DoRA", id="it is DoRA"),
    ],
)
def test_a_whole_state_of_more_than_lora(make_adapter, config, extra, kind):
    """What else was trained is refused in the state of a whole model too."""
    more = {**whole_state(), **{ROOT + name: np.ones((2, 2)) for name in extra}}
    with pytest.raises(UnsupportedError, match=kind):
        read_adapter(make_adapter(extra=more, config=config, **ONE))


def test_half_a_state_is_none(make_adapter):
    """A norm beside factors whose own weights are not there is no frozen copy."""
    with pytest.raises(UnsupportedError, match="norms"):
        read_adapter(make_adapter(extra={f"{ROOT}model.norm.weight": np.ones(4)}, **ONE))


@pytest.mark.parametrize(("key", "default"), [("r", 8), ("lora_alpha", 8)])
def test_numbers_that_are_missing(make_adapter, key, default):
    """A missing rank or alpha is PEFT's default, and told."""
    adapter = read_adapter(make_adapter(rank=8, alpha=8, config={key: ...}, **ONE))
    assert (adapter.rank, adapter.alpha) == (8, 8)
    assert f"adapter_config.json has no {key}: PEFT's default, {default}" in adapter.notes


def test_settings_that_peft_ignores(make_adapter):
    """Notes of an owner are ignored and told, in one line."""
    adapter = read_adapter(make_adapter(config={"trainer": "acme 1.2", "lorap_emb_lr": 1e-3}, **ONE))
    assert any("as in PEFT: trainer, lorap_emb_lr" in note for note in adapter.notes)


OVERLAPS = {
    "two values": ({"q_proj": 4, ".*proj": 2}, True),
    "one value twice": ({"q_proj": 4, ".*proj": 4}, False),
    "keys of different modules": ({"q_proj": 4, "k_proj": 2}, False),
}


@pytest.mark.parametrize(("pattern", "warned"), OVERLAPS.values(), ids=OVERLAPS)
def test_overlapping_patterns(make_adapter, pattern, warned):
    """Two keys with different values for one module are warned of: PEFT has sorted them."""
    adapter = read_adapter(make_adapter(config={"alpha_pattern": pattern}, **ONE))
    assert adapter.pairs[0].alpha == 4
    warnings = [note for note in adapter.notes if "several keys of alpha_pattern match" in note]
    assert len(warnings) == warned
    assert all("q_proj" in each and "sorts the keys" in each for each in warnings)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_mark_in_front(make_adapter, encoding):
    """A configuration that an editor on Windows has saved is read."""
    directory = make_adapter(**ONE)
    path = directory / "adapter_config.json"
    path.write_text(path.read_text("utf-8"), encoding)
    assert len(read_adapter(directory).pairs) == 1


def rewrite(directory, rename, dtype=np.float32, more=None):
    """Write the factors of the adapter under other names and in another dtype."""
    tensors = {rename(name): each.astype(dtype) for name, each in factors(Recipe(**ONE)).items()} | (
        more or {}
    )
    header, chunks, place = {}, [], 0
    kinds = {"float32": "F32", "float64": "F64", "uint8": "U8"}
    for name, array in tensors.items():
        end = place + array.nbytes
        header[name] = {"dtype": kinds[array.dtype.name], "shape": array.shape, "data_offsets": [place, end]}
        chunks.append(array.tobytes())
        place = end
    (directory / "adapter_model.safetensors").write_bytes(with_header(header, b"".join(chunks)))
    return directory


def down_and_up(name):
    return name.replace("lora_A", "lora_down").replace("lora_B", "lora_up")


def underscored(name):
    module, _, part = down_and_up(name).removeprefix(ROOT).partition(".lora_")
    return f"lora_unet_{module.replace('.', '_')}.lora_{part}"


@pytest.mark.parametrize("rename", [str, str.lower, down_and_up, underscored])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_names_and_dtypes_of_other_tools(make_adapter, rename, dtype):
    """Small letters, kohya's names and float64 are the same adapter."""
    plain = read_adapter(make_adapter(**ONE)).pairs[0]
    (pair,) = read_adapter(rewrite(make_adapter(**ONE), rename, dtype)).pairs
    assert (pair.module, pair.a.shape, pair.b.shape, pair.alpha) == (
        Q0,
        plain.a.shape,
        plain.b.shape,
        plain.alpha,
    )


def test_an_alpha_of_its_own(make_adapter):
    """The alpha that kohya's trainers store beside a module is the alpha of that module."""
    own = {f"{ROOT}{Q0}.alpha": np.array(1.5, np.float32)}
    (pair,) = read_adapter(rewrite(make_adapter(**ONE), down_and_up, more=own)).pairs
    assert pair.alpha == 1.5


def test_factors_of_integers(make_adapter):
    """A factor that is stored as integers is refused by its name."""
    with pytest.raises(UnsupportedError, match="stored as U8") as caught:
        read_adapter(rewrite(make_adapter(**ONE), str, np.uint8))
    assert Q0 in caught.value.where


def test_integers_beside_factors(make_adapter):
    """A frozen copy in few bits has tensors of integers, which are left out."""
    copy = {f"{ROOT}{Q0}.base_layer.weight": np.ones((4, 1), np.uint8)}
    adapter = read_adapter(rewrite(make_adapter(**ONE), str, more=copy))
    assert any("frozen copies" in note for note in adapter.notes)
    assert json.loads((adapter.directory / "adapter_config.json").read_text("utf-8"))["r"] == 3
