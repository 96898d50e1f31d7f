"""Tensors that are no factors: which rule each falls under, and which are dropped on purpose."""

import pytest

from ollama_pack.lora.peft.extra_tensors import KINDS, classify_extra_tensor
from ollama_pack.lora.peft.keys import parse_key
from ollama_pack.lora.unsupported import RULES

PARTS = frozenset({"lora_A", "lora_B"})
ROOT = "base_model.model."
Q0 = "model.layers.0.self_attn.q_proj"


def kind(name, *, adapted=(), **config):
    return classify_extra_tensor(ROOT + name, parse_key(ROOT + name, PARTS), adapted, config)


STRANGERS = {
    f"{Q0}.lora_magnitude_vector": "dora",
    f"{Q0}.lora_magnitude_vector.default.weight": "dora",
    f"{Q0}.lora_m": "dora",
    f"{Q0}.m": "dora",
    "model.embed_tokens.trainable_tokens_delta": "trained-tokens",
    "model.embed_tokens.token_adapter.trainable_tokens_delta": "trained-tokens",
    f"{Q0}.lora_A.bias": "lora-bias",
    f"{Q0}.lora_B.default.bias": "lora-bias",
    f"{Q0}.bias": "bias",
    f"{Q0}.base_layer.bias": "bias",
    "model.norm.bias": "bias",
    "model.norm.weight": "norm",
    "model.layers.0.post_attention_layernorm.weight": "norm",
    "model.layers.0.self_attn.q_norm.weight": "norm",
    "transformer.h.0.ln_1.weight": "norm",
    "model.layers.0.mlp.down_proj.weight": "whole-weight",
    "model.vision_tower.blocks.0.qkv.weight": "vision",
    "model.vision_tower.blocks.0.norm1.weight": "vision",
    f"{Q0}.oft_r": "unknown-tensor",
    f"{Q0}.lora_C.weight": "unknown-tensor",
    f"{Q0}.lora_diag.weight": "unknown-tensor",
    f"{Q0}.lora_A.weight.absmax": "unknown-tensor",
    "model.layers.0.mixture_of_gates": "unknown-tensor",
}


@pytest.mark.parametrize(("name", "rule"), STRANGERS.items(), ids=STRANGERS)
def test_strangers(name, rule):
    """A tensor that is no factor falls under the rule of what it is."""
    assert kind(name) == rule


def test_counters_are_dropped():
    """AdaLoRA's count of ranks says nothing that its factors do not."""
    assert kind(f"{Q0}.ranknum") is None
    assert kind(f"{Q0}.ranknum.default") is None


@pytest.mark.parametrize("module", ["lm_head", "model.embed_tokens", "transformer.wte", "gpt_neox.embed_out"])
@pytest.mark.parametrize(
    ("saved", "rule"),
    [
        pytest.param(["{}"], "whole-embedding", id="the whole name was to be saved"),
        pytest.param(["x", "{last}"], "whole-embedding", id="the end of its name was to be saved"),
        pytest.param(["ead"], "resized", id="half a name is another module"),
        pytest.param(None, "resized", id="nobody asked for it, so PEFT saw another vocabulary"),
    ],
)
def test_heads_and_embeddings(module, saved, rule):
    """A whole head or embedding was trained where the settings say so, and was resized where they do not."""
    names = saved and [name.format(module, last=module.rpartition(".")[2]) for name in saved]
    assert kind(f"{module}.weight", modules_to_save=names) == rule


def test_frozen_copies_of_adapted_modules():
    """The frozen copy below a LoRA is dropped, but not one of a module that has no LoRA."""
    assert kind("lm_head.base_layer.weight", adapted={"lm_head"}) is None
    assert kind("lm_head.base_layer.weight", adapted={Q0}) == "resized"
    assert kind("lm_head.weight", adapted={"lm_head"}) == "resized"


@pytest.mark.parametrize("saved", [7, True], ids=repr)
def test_saved_modules_that_are_no_list(saved):
    """A list of saved modules that is none is no traceback."""
    assert kind("lm_head.weight", modules_to_save=saved) in ("resized", "whole-embedding")


def test_every_kind_has_a_rule():
    """Whatever a pattern decides is a row of the table of rules, or nothing."""
    assert {rule for _, rule in KINDS} - RULES.keys() == {None}
