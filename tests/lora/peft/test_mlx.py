"""Adapters of mlx-lm, in PEFT's words."""

from pathlib import Path

import numpy as np
import pytest

from ollama_pack.errors import InputError
from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.peft import mlx
from ollama_pack.lora.unsupported import RuleViolations

PATH = Path("adapter_config.json")
Q0 = "model.layers.0.self_attn.q_proj"


def tensor(*shape):
    numbers = np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)
    return LazyTensor(Path("x"), "x", shape, (), lambda: numbers)


def settled(parameters, **more):
    findings = RuleViolations(PATH)
    config = mlx.to_peft({"lora_parameters": parameters, "model": "org/base", **more}, PATH, findings)
    return config, findings.codes


NOW = {"rank": 8, "scale": 20.0, "dropout": 0.0}
ALPHA = {**NOW, "alpha": 16}


@pytest.mark.parametrize(
    ("parameters", "more", "scale"),
    [
        pytest.param(NOW, {"num_layers": 16, "fine_tune_type": "lora"}, 20, id="today"),
        pytest.param(ALPHA, {"num_layers": 16}, 20, id="an alpha that is ignored"),
        pytest.param(ALPHA, {"lora_layers": 16}, 40, id="an alpha that counts"),
        pytest.param(
            {**ALPHA, "alpha": 8}, {"lora_layers": 16, "use_dora": False}, 20, id="alpha is the rank"
        ),
    ],
)
def test_scale(parameters, more, scale):
    """The scale is the one of the version that wrote the file."""
    config, codes = settled(parameters, **more)
    assert config["lora_alpha"] / config["r"] == scale
    assert (config["peft_type"], config["base_model_name_or_path"], codes) == ("LORA", "org/base", ())


def test_a_scale_nobody_knows():
    """Where versions differ in what alpha means, the adapter is refused."""
    assert settled(ALPHA, lora_layers=16, use_dora=False)[1] == ("mlx-scale",)


@pytest.mark.parametrize("parameters", [None, [], {"scale": 1.0}, {"rank": 8}, {"rank": "8", "scale": 1}])
def test_parameters_that_are_missing(parameters):
    """Without a rank and a scale there is no adapter."""
    with pytest.raises(InputError, match=r"lora_parameters|rank|scale"):
        settled(parameters)


def test_whole_weights():
    """A full fine-tune is refused as what it is, and no way out speaks of PEFT."""
    findings = RuleViolations(PATH, mlx.MLX_MERGE_HINT)
    config = mlx.to_peft({"fine_tune_type": "full", "model": "org/base"}, PATH, findings)
    assert "lm_head" in config["modules_to_save"]
    error = findings.fatal("whole-embedding", "lm_head.weight")
    assert "--merge" in error.hint
    assert "PEFT" not in error.hint


@pytest.mark.parametrize("key", ["lora_parameters", "fine_tune_type", "lora_layers"])
def test_told_by_its_keys(key):
    """A configuration of mlx-lm is told by keys that PEFT does not write."""
    assert mlx.is_mlx({key: 1})
    assert not mlx.is_mlx({"peft_type": "LORA", "r": 8})


def numbers_of(each):
    with TensorReader() as weights:
        return weights.float32(each)


def test_linear():
    """The factors of a linear weight are transposed: in × rank and rank × out."""
    a, b = tensor(5, 2), tensor(2, 7)
    found = mlx.rename({f"{Q0}.lora_a": a, f"{Q0}.lora_b": b})
    assert {name: each.shape for name, each in found.items()} == {
        f"{Q0}.lora_A.weight": (2, 5), f"{Q0}.lora_B.weight": (7, 2),
    }  # fmt: skip
    assert np.array_equal(numbers_of(found[f"{Q0}.lora_A.weight"]), a.compute().T)


def test_embedding():
    """The factors of an embedding are vocabulary × rank and rank × hidden."""
    found = mlx.rename(
        {"model.embed_tokens.lora_a": tensor(50, 2), "model.embed_tokens.lora_b": tensor(2, 20)}
    )
    assert {name: each.shape for name, each in found.items()} == {
        "model.embed_tokens.lora_embedding_A": (2, 50), "model.embed_tokens.lora_embedding_B": (20, 2),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("module", "usual"),
    [
        ("mlp.switch_mlp.gate_proj", "mlp.experts.gate_proj"),
        ("mlp.switch_mlp.down_proj", "mlp.experts.down_proj"),
        ("block_sparse_moe.switch_mlp.gate_proj", "block_sparse_moe.experts.w1"),
        ("block_sparse_moe.switch_mlp.down_proj", "block_sparse_moe.experts.w2"),
        ("block_sparse_moe.switch_mlp.up_proj", "block_sparse_moe.experts.w3"),
    ],
)
@pytest.mark.parametrize("shape", [(4, 2, 5), (8, 5)], ids=["a stack", "one matrix, as it was once"])
def test_experts(module, usual, shape):
    """The factors of experts are stacks already, under PEFT's names."""
    root = "model.layers.0."
    found = mlx.rename({f"{root}{module}.lora_a": tensor(*shape), f"{root}{module}.lora_b": tensor(4, 7, 2)})
    assert {name: each.shape for name, each in found.items()} == {
        f"{root}{usual}.lora_A.weight": (4, 2, 5), f"{root}{usual}.lora_B.weight": (4, 7, 2),
    }  # fmt: skip


def test_other_tensors_stay():
    """What is no factor keeps its name, for whoever judges it."""
    each = tensor(3)
    assert mlx.rename({f"{Q0}.m": each, f"{Q0}.weight": each}) == {f"{Q0}.m": each, f"{Q0}.weight": each}
