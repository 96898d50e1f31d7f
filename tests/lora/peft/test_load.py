"""Adapter directories: pairs, ranks, scales, and everything that is refused at the door."""

import json

import numpy as np
import pytest

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.lora.peft.load import read_adapter

Q0 = "model.layers.0.self_attn.q_proj"
K0 = "model.layers.0.self_attn.k_proj"
ROOT = "base_model.model."


def test_reads_a_plain_adapter(make_adapter):
    """All fourteen weights of two layers are paired, with shapes, rank and scale."""
    adapter = read_adapter(make_adapter(rank=3, alpha=6))
    assert len(adapter.pairs) == 14
    pair = next(pair for pair in adapter.pairs if pair.module == K0)
    assert (pair.a.shape, pair.b.shape) == ((3, 20), (12, 3))
    assert (pair.rank, pair.alpha, pair.scale) == (3, 6, 2.0)


def test_facts_of_the_configuration(make_adapter):
    """Rank, alpha, base and the whole configuration are kept."""
    directory = make_adapter(rank=2, alpha=0.5, config={"base_model_name_or_path": "org/model"})
    adapter = read_adapter(directory)
    assert (adapter.rank, adapter.alpha, adapter.base_id) == (2, 0.5, "org/model")
    assert adapter.directory == directory
    assert adapter.config["task_type"] == "CAUSAL_LM"


@pytest.mark.parametrize("base", [None, ..., ""], ids=["null", "missing", "empty"])
def test_no_base(make_adapter, base):
    """An adapter that does not name its base has an empty base id."""
    assert read_adapter(make_adapter(config={"base_model_name_or_path": base})).base_id == ""


def test_layers_are_ordered_as_numbers(make_adapter):
    """Layer 2 comes before layer 10, whatever the file's order is."""
    adapter = read_adapter(make_adapter(modules=("q_proj",), layers=(10, 2, 1), reverse=True))
    assert [pair.module.split(".")[2] for pair in adapter.pairs] == ["1", "2", "10"]


@pytest.mark.parametrize("prefix", ["base_model.model.", ""], ids=["with prefix", "without prefix"])
@pytest.mark.parametrize("infix", ["", ".default", ".other"], ids=["no name", "default", "another name"])
def test_spellings_of_keys(make_adapter, prefix, infix):
    """Names with and without PEFT's prefix and the adapter's name are the same modules."""
    adapter = read_adapter(make_adapter(modules=("q_proj",), layers=(0,), prefix=prefix, infix=infix))
    assert [pair.module for pair in adapter.pairs] == [Q0]


def test_odd_names_are_sorted(make_adapter):
    """Digits that are no block number, or of thousands of places, do not stop the sorting."""
    names = [f"{ROOT}x.{odd}.y.lora_{side}.weight" for odd in ("²", "9" * 5000) for side in "AB"]
    shapes = [(3, 4), (5, 3)] * 2
    adapter = read_adapter(
        make_adapter(
            layers=(), extra={name: np.ones(shape) for name, shape in zip(names, shapes, strict=True)}
        )
    )
    assert len(adapter.pairs) == 2


REFUSED_TENSORS = {
    f"{Q0}.lora_magnitude_vector.weight": "DoRA",
    f"{Q0}.lora_magnitude_vector": "DoRA",
    f"{Q0}.lora_B.bias": "lora_bias",
    f"{Q0}.lora_B.default.bias": "lora_bias",
    "model.embed_tokens.token_adapter.trainable_tokens_delta": "trainable tokens",
    f"{Q0}.bias": "trained biases",
    "model.norm.base_layer.bias": "trained biases",
    "model.norm.modules_to_save.default.weight": "norms",
    "model.norm.weight": "norms",
    "model.layers.0.input_layernorm.weight": "norms",
    "model.layers.0.self_attn.q_norm.weight": "norms",
    "lm_head.weight": "resized vocabulary",
    "model.embed_tokens.weight": "resized vocabulary",
    "model.layers.0.mlp.down_proj.weight": "modules_to_save: linear",
    "model.vision_tower.layers.0.q_proj.lora_A.weight": "vision or audio tower",
    f"{Q0}.hada_w1_a": "unknown tensors",
}


@pytest.mark.parametrize(("name", "kind"), REFUSED_TENSORS.items(), ids=REFUSED_TENSORS)
def test_other_tensors(make_adapter, name, kind):
    """A tensor that is neither A nor B of a linear weight is refused with its name and kind."""
    with pytest.raises(UnsupportedError, match=kind) as caught:
        read_adapter(make_adapter(extra={ROOT + name: np.ones(4)}))
    assert ROOT + name in caught.value.what


def test_other_tensors_are_told_together(make_adapter):
    """All refused tensors are in one error, those that differ in a number as one line."""
    extra = {f"{ROOT}model.layers.{number}.input_layernorm.weight": np.ones(4) for number in (0, 1)}
    with pytest.raises(UnsupportedError) as caught:
        read_adapter(make_adapter(extra=extra | {f"{ROOT}{Q0}.lora_B.bias": np.ones(4)}))
    assert f"{ROOT}model.layers.{{0-1}}.input_layernorm.weight" in caught.value.what
    assert f"{ROOT}{Q0}.lora_B.bias" in caught.value.what


def a_of(module, rank=3):
    return {f"{ROOT}{module}.lora_A.weight": np.ones((rank, 20))}


def b_of(module, rank=3):
    return {f"{ROOT}{module}.lora_B.weight": np.ones((24, rank))}


DAMAGED_PAIRS = {
    "A without B": (a_of(Q0), "lora_A.weight: has no lora_B"),
    "B without A": (b_of(Q0), "lora_B.weight: has no lora_A"),
    "A and B of different ranks": (a_of(Q0, 3) | b_of(Q0, 2), "A 3×20 and B 24×2 have different ranks"),
    "another rank than the configuration": (a_of(Q0, 2) | b_of(Q0, 2), "rank 2 in the file, 3 in"),
    "A with three dimensions": ({f"{ROOT}{Q0}.lora_A.weight": np.ones((3, 4, 5))} | b_of(Q0), "3×4×5 is no"),
    "A with one number": (
        {f"{ROOT}{Q0}.lora_A.weight": np.ones(())} | b_of(Q0),
        r"lora_A \(\) is not a matrix",
    ),
    "A without columns": ({f"{ROOT}{Q0}.lora_A.weight": np.ones((3, 0))} | b_of(Q0), "is not a matrix"),
    "the same weight twice": (a_of(Q0) | {f"{Q0}.lora_A.default.weight": np.ones((3, 20))}, "twice"),
}


@pytest.mark.parametrize(("extra", "message"), DAMAGED_PAIRS.values(), ids=DAMAGED_PAIRS)
def test_damaged_pairs(make_adapter, extra, message):
    """Factors that do not make a pair of the configured rank are an InputError that names them."""
    with pytest.raises(InputError, match=message) as caught:
        read_adapter(make_adapter(layers=(), extra=extra))
    assert Q0 in caught.value.what


def test_damaged_pairs_are_told_together(make_adapter):
    """Every damaged pair is in one error."""
    with pytest.raises(InputError) as caught:
        read_adapter(make_adapter(layers=(), extra=a_of(Q0) | b_of(K0)))
    assert Q0 in caught.value.what
    assert K0 in caught.value.what


def test_no_tensors(make_adapter):
    """Weights without a tensor were never trained."""
    with pytest.raises(InputError, match="nothing was trained"):
        read_adapter(make_adapter(layers=()))


def test_adapter_of_443_bytes(make_adapter):
    """A save that wrote nothing but a header is told what is missing, not loaded as empty."""
    directory = make_adapter(modules=("q_proj",), layers=(0,))
    weights = directory / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:443])
    with pytest.raises(InputError, match="cut short"):
        read_adapter(directory)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param({"r": None}, "r is None", id="no rank"),
        pytest.param({"r": 2.5}, "r is 2.5; it must be a whole number", id="half a rank"),
        pytest.param({"lora_alpha": None}, "lora_alpha is None", id="no alpha"),
        pytest.param({"lora_alpha": "16"}, "lora_alpha is '16'", id="a text for an alpha"),
        pytest.param({"peft_type": ...}, "peft_type is missing", id="no method"),
    ],
)
def test_damaged_configuration(make_adapter, config, message):
    """A configuration without a rank or an alpha is an InputError with its key."""
    with pytest.raises(InputError, match=message) as caught:
        read_adapter(make_adapter(config=config))
    assert "adapter_config.json: " in caught.value.where


def test_refused_configuration(make_adapter):
    """A setting that changes what A and B mean is refused by its name."""
    with pytest.raises(UnsupportedError, match="use_dora"):
        read_adapter(make_adapter(config={"use_dora": True}))


def test_no_directory(tmp_path):
    """A directory that is not there is called so."""
    with pytest.raises(InputError, match="no such directory"):
        read_adapter(tmp_path / "none")


def test_file_for_a_directory(make_adapter):
    """Who names the weights is told to name their directory."""
    with pytest.raises(InputError, match="This is a file"):
        read_adapter(make_adapter() / "adapter_model.safetensors")


def test_no_weights(make_adapter):
    """A directory without weights is an InputError."""
    directory = make_adapter()
    (directory / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match=r"no adapter_model\.safetensors"):
        read_adapter(directory)


def test_checkpoint_hint(make_adapter):
    """Where the weights lie in checkpoints below, the hint names the latest."""
    directory = make_adapter()
    (directory / "adapter_model.safetensors").unlink()
    for step in (9, 10):
        make_adapter(f"{directory.name}/checkpoint-{step}")
    with pytest.raises(InputError) as caught:
        read_adapter(directory)
    assert caught.value.hint == f"ollama-pack build {directory / 'checkpoint-10'}"


def test_configuration_as_peft_writes_it(make_adapter):
    """Unicode in a configuration is kept."""
    directory = make_adapter()
    config = json.loads((directory / "adapter_config.json").read_text())
    text = json.dumps({**config, "base_model_name_or_path": "größe/modell"}, ensure_ascii=False)
    (directory / "adapter_config.json").write_text(text, "utf-8")
    assert read_adapter(directory).base_id == "größe/modell"


def test_rank_pattern_in_the_file(make_adapter):
    """Tensors of the pattern's rank are taken, with the scale of their own rank."""
    config = {"rank_pattern": {r"layers\.0\.self_attn\.q_proj": 5}}
    adapter = read_adapter(make_adapter(modules=("q_proj",), ranks={Q0: 5}, alpha=10, config=config))
    assert [(pair.rank, pair.scale) for pair in adapter.pairs] == [(5, 2.0), (3, 10 / 3)]


def test_settings_without_their_tensors(make_adapter):
    """Where modules were to be saved and none is in the file, the file is not all that was trained."""
    with pytest.raises(UnsupportedError, match=r"modules_to_save = \['lm_head'\], and none is in the file"):
        read_adapter(make_adapter(config={"modules_to_save": ["lm_head"]}))


def test_biases_that_are_not_there(make_adapter):
    """A base without biases has none to train, whatever the configuration asked for."""
    assert len(read_adapter(make_adapter(config={"bias": "all"})).pairs) == 14


def test_frozen_copies_are_dropped(make_adapter):
    """The frozen copy of a head that PEFT saves below its LoRA is known, and left out."""
    extra = {f"{ROOT}lm_head.base_layer.weight": np.ones((50, 20))}
    assert len(read_adapter(make_adapter(head=True, extra=extra)).pairs) == 15


def test_damage_is_told_before_refusal(make_adapter):
    """What is damaged has to be mended first, so it is told first."""
    with pytest.raises(InputError, match="has no lora_B"):
        read_adapter(make_adapter(layers=(), extra=a_of(Q0), config={"use_dora": True}))


def test_embeddings(make_adapter):
    """LoRA on an embedding is a pair of its transpose: hidden × rank and rank × vocabulary."""
    root = f"{ROOT}model.embed_tokens.lora_embedding"
    extra = {f"{root}_A": np.ones((3, 50)), f"{root}_B": np.ones((20, 3))}
    (pair,) = read_adapter(make_adapter(layers=(), extra=extra)).pairs
    assert (pair.module, pair.a.shape, pair.b.shape) == ("model.embed_tokens", (3, 50), (20, 3))


SEEING = "model.language_model.layers.0.self_attn.q_proj"
OWN_NAMES = {
    "the whole name": (SEEING, {"alpha_pattern": {SEEING: 30}}),
    "an anchored name": ("layers.0.self_attn.q_proj", {"alpha_pattern": {r"^layers\.0\..*": 30}}),
    "a parameter": (
        SEEING,
        {"target_parameters": [f"{SEEING}.weight"], "alpha_pattern": {f"{SEEING}.weight": 30}},
    ),
}


@pytest.mark.parametrize(("module", "config"), OWN_NAMES.values(), ids=OWN_NAMES)
def test_patterns_are_of_the_trained_model(make_adapter, module, config):
    """A pattern is matched with the name the module had in the model it was trained in, as PEFT did."""
    extra = {
        f"{ROOT}{module}.lora_A.weight": np.ones((3, 20)),
        f"{ROOT}{module}.lora_B.weight": np.ones((24, 3)),
    }
    (pair,) = read_adapter(make_adapter(layers=(), extra=extra, config=config)).pairs
    assert (pair.module, pair.scale) == (Q0, 10.0)


@pytest.mark.parametrize("alpha", [None, "x"], ids=["null", "a text"])
def test_vera_with_an_alpha(make_adapter, alpha):
    """VeRA has no alpha, so one that is none is no traceback."""
    sides = {"vera_lambda_d": np.ones(3), "vera_lambda_b": np.ones(24)}
    extra = {f"{ROOT}{Q0}.{name}": numbers for name, numbers in sides.items()}
    extra |= {"base_model.vera_A": np.ones((3, 20)), "base_model.vera_B": np.ones((24, 3))}
    config = {"peft_type": "VERA", "lora_alpha": alpha}
    assert read_adapter(make_adapter(layers=(), extra=extra, config=config)).method == "VeRA"
