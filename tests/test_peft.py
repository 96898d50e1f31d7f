"""Adapter directories: pairs, ranks, scales, and everything that is refused at the door."""

import json
import math

import numpy as np
import pytest

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.peft import rank_and_alpha, read_adapter, read_config

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
    "model.embed_tokens.lora_embedding_A": "embedding",
    "model.embed_tokens.lora_embedding_B": "embedding",
    f"{Q0}.lora_B.bias": "lora_bias",
    f"{Q0}.lora_B.default.bias": "lora_bias",
    "model.embed_tokens.token_adapter.trainable_tokens_delta": "trained tokens",
    f"{Q0}.base_layer.bias": "a trained bias",
    "model.norm.weight": "a trained norm",
    "model.layers.0.input_layernorm.weight": "a trained norm",
    "model.layers.0.self_attn.q_norm.weight": "a trained norm",
    "lm_head.weight": "modules_to_save",
    "model.embed_tokens.weight": "modules_to_save",
    f"{Q0}.hada_w1_a": "neither a lora_A nor a lora_B",
}


@pytest.mark.parametrize(("name", "kind"), REFUSED_TENSORS.items(), ids=REFUSED_TENSORS)
def test_other_tensors(make_adapter, name, kind):
    """A tensor that is neither A nor B of a linear weight is refused with its name and kind."""
    with pytest.raises(UnsupportedError, match=kind) as caught:
        read_adapter(make_adapter(extra={ROOT + name: np.ones(4)}))
    assert ROOT + name in caught.value.what


def test_other_tensors_are_told_together(make_adapter):
    """All refused tensors are in one error."""
    extra = {f"{ROOT}model.layers.{number}.input_layernorm.weight": np.ones(4) for number in (0, 1)}
    with pytest.raises(UnsupportedError) as caught:
        read_adapter(make_adapter(extra=extra))
    assert all(name in caught.value.what for name in extra)


def a_of(module, rank=3):
    return {f"{ROOT}{module}.lora_A.weight": np.ones((rank, 20))}


def b_of(module, rank=3):
    return {f"{ROOT}{module}.lora_B.weight": np.ones((24, rank))}


DAMAGED_PAIRS = {
    "A without B": (a_of(Q0), "lora_A.weight: has no lora_B"),
    "B without A": (b_of(Q0), "lora_B.weight: has no lora_A"),
    "A and B of different ranks": (a_of(Q0, 3) | b_of(Q0, 2), "A 3×20 and B 24×2 have different ranks"),
    "another rank than the configuration": (a_of(Q0, 2) | b_of(Q0, 2), "rank 2 in the file, 3 in"),
    "A with three dimensions": ({f"{ROOT}{Q0}.lora_A.weight": np.ones((3, 4, 5))} | b_of(Q0), "3×4×5"),
    "A with one number": ({f"{ROOT}{Q0}.lora_A.weight": np.ones(())} | b_of(Q0), r"A \(\) and B"),
    "A without columns": ({f"{ROOT}{Q0}.lora_A.weight": np.ones((3, 0))} | b_of(Q0), "not two matrices"),
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
    with pytest.raises(InputError, match="holds no tensor"):
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
        pytest.param({"r": ...}, "r is missing", id="no rank"),
        pytest.param({"r": 2.5}, "rank 2.5 is not a whole number", id="half a rank"),
        pytest.param({"lora_alpha": ...}, "lora_alpha is missing", id="no alpha"),
        pytest.param({"lora_alpha": 0}, "lora_alpha is 0", id="alpha zero, which llama.cpp reads as scale 1"),
        pytest.param({"peft_type": ...}, "peft_type is missing", id="no method"),
    ],
)
def test_damaged_configuration(make_adapter, config, message):
    """A configuration without a rank or an alpha is an InputError with its key."""
    with pytest.raises(InputError, match=message) as caught:
        read_adapter(make_adapter(config=config))
    assert "adapter_config.json: " in caught.value.where


def test_refused_configuration(make_adapter):
    """A configuration of another method is refused before the weights are looked at."""
    directory = make_adapter(config={"use_dora": True})
    (directory / "adapter_model.safetensors").unlink()
    with pytest.raises(UnsupportedError, match="use_dora"):
        read_adapter(directory)


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


def test_pickled_weights(make_adapter):
    """A pickle is named and not opened, with the way to save it again."""
    directory = make_adapter()
    (directory / "adapter_model.safetensors").rename(directory / "adapter_model.bin")
    with pytest.raises(UnsupportedError, match="pickle") as caught:
        read_adapter(directory)
    assert "safe_serialization=True" in caught.value.hint


def test_checkpoint_hint(make_adapter):
    """Where the weights lie in checkpoints below, the hint names the latest."""
    directory = make_adapter()
    (directory / "adapter_model.safetensors").unlink()
    for step in (9, 10):
        make_adapter(f"{directory.name}/checkpoint-{step}")
    with pytest.raises(InputError) as caught:
        read_adapter(directory)
    assert caught.value.hint == f"ollama-pack build {directory / 'checkpoint-10'}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"{", "not JSON", id="half an object"),
        pytest.param(b"\xff{}", "not JSON", id="not UTF-8"),
        pytest.param(b"[" * 100_000, "not JSON", id="nested without end"),
        pytest.param(b"[]", "no JSON object", id="a list"),
        pytest.param(b"", "not JSON", id="empty"),
    ],
)
def test_damaged_json(tmp_path, content, message):
    """A configuration that is no JSON object is an InputError."""
    (tmp_path / "adapter_config.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_config(tmp_path / "adapter_config.json")


def test_missing_and_unreadable_configuration(tmp_path):
    """A missing configuration is told with its directory, one that cannot be read with the reason."""
    with pytest.raises(InputError, match=r"no adapter_config\.json"):
        read_adapter(tmp_path)
    with pytest.raises(InputError, match="Is a directory"):
        read_config(tmp_path)


def test_configuration_as_peft_writes_it(make_adapter):
    """Unicode in a configuration is kept."""
    directory = make_adapter()
    config = json.loads((directory / "adapter_config.json").read_text())
    text = json.dumps({**config, "base_model_name_or_path": "größe/modell"}, ensure_ascii=False)
    (directory / "adapter_config.json").write_text(text, "utf-8")
    assert read_adapter(directory).base_id == "größe/modell"


SCALES = {
    "plain: alpha / r": ({}, 16 / 8),
    "rsLoRA: alpha / √r": ({"use_rslora": True}, 16 / math.sqrt(8)),
    "a rank pattern": ({"rank_pattern": {"q_proj": 4}}, 16 / 4),
    "an alpha pattern": ({"alpha_pattern": {"q_proj": 32}}, 32 / 8),
    "both patterns": ({"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"q_proj": 1}}, 1 / 4),
    "rsLoRA with both": (
        {"use_rslora": True, "rank_pattern": {"q_proj": 4}, "alpha_pattern": {"q_proj": 1}},
        1 / math.sqrt(4),
    ),
    "a pattern of another module": ({"rank_pattern": {"k_proj": 4}}, 16 / 8),
    "half a name does not match": ({"rank_pattern": {"proj": 4}}, 16 / 8),
    "a name matches from a dot on": ({"rank_pattern": {"self_attn.q_proj": 4}}, 16 / 4),
    "the whole name matches": ({"rank_pattern": {Q0: 4}}, 16 / 4),
    "a regular expression matches": ({"rank_pattern": {r"layers\.[0-3]\..*q_proj": 4}}, 16 / 4),
    "a choice is one expression": ({"rank_pattern": {"k_proj|q_proj": 4}}, 16 / 4),
    "an anchor of the start": ({"rank_pattern": {r"^model\.layers\.0\.self_attn\.q_proj": 4}}, 16 / 4),
    "the first of two matches": ({"rank_pattern": {"q_proj": 4, r".*": 2}}, 16 / 4),
    "null patterns": ({"rank_pattern": None, "alpha_pattern": None}, 16 / 8),
}


@pytest.mark.parametrize(("config", "scale"), SCALES.values(), ids=SCALES)
def test_scale(config, scale):
    """The scale is what PEFT multiplies B·A with."""
    rank, alpha = rank_and_alpha(Q0, {"r": 8, "lora_alpha": 16, **config})
    assert alpha / rank == pytest.approx(scale, rel=1e-15)


def test_rank_pattern_in_the_file(make_adapter):
    """Tensors of the pattern's rank are taken, with the scale of their own rank."""
    config = {"rank_pattern": {r"layers\.0\.self_attn\.q_proj": 5}}
    adapter = read_adapter(make_adapter(modules=("q_proj",), ranks={Q0: 5}, alpha=10, config=config))
    assert [(pair.rank, pair.scale) for pair in adapter.pairs] == [(5, 2.0), (3, 10 / 3)]
