"""Names of tensors, whoever wrote them."""

import pytest

from ollama_pack.lora.peft.keys import TensorKey, is_tower, parse_key, text_module

PARTS = frozenset({"lora_A", "lora_B", "lora_embedding_A"})
Q0 = "model.layers.0.self_attn.q_proj"

SPELLINGS = {
    f"base_model.model.{Q0}.lora_A.weight": TensorKey(Q0, "lora_A"),
    f"{Q0}.lora_A.weight": TensorKey(Q0, "lora_A"),
    f"base_model.model.{Q0}.lora_A.default.weight": TensorKey(Q0, "lora_A"),
    f"base_model.model.{Q0}.lora_A.my_adapter.weight": TensorKey(Q0, "lora_A"),
    f"module.base_model.model.{Q0}.lora_B.weight": TensorKey(Q0, "lora_B"),
    f"base_model.model._orig_mod.{Q0}.lora_B.weight": TensorKey(Q0, "lora_B"),
    f"_orig_mod.base_model.model.{Q0}.lora_B.weight": TensorKey(Q0, "lora_B"),
    "base_model.model.model.layers.0._fsdp_wrapped_module.self_attn.q_proj.lora_A.weight":
        TensorKey(Q0, "lora_A"),
    "base_model.model.model.layers.0._checkpoint_wrapped_module.self_attn.q_proj.lora_A.weight":
        TensorKey(Q0, "lora_A"),
    f"base_model.model.{Q0}.base_layer.lora_A.weight": TensorKey(Q0, "lora_A", depth=1),
    f"base_model.model.{Q0}.base_layer.base_layer.lora_A.weight": TensorKey(Q0, "lora_A", depth=2),
    "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight": TensorKey(
        Q0, "lora_A", trained="model.language_model.layers.0.self_attn.q_proj"
    ),
    "base_model.model.language_model.model.layers.0.self_attn.q_proj.lora_A.weight": TensorKey(
        Q0, "lora_A", trained="language_model.model.layers.0.self_attn.q_proj"
    ),
    "base_model.model.language_model.lm_head.lora_A.weight": TensorKey(
        "lm_head", "lora_A", trained="language_model.lm_head"
    ),
    "base_model.model.layers.0.self_attn.q_proj.lora_A.weight": TensorKey(
        Q0, "lora_A", trained="layers.0.self_attn.q_proj"
    ),
    "base_model.model.model.embed_tokens.lora_embedding_A":
        TensorKey("model.embed_tokens", "lora_embedding_A"),
    "base_model.model.model.embed_tokens.lora_embedding_A.default":
        TensorKey("model.embed_tokens", "lora_embedding_A"),
    f"base_model.model.{Q0}.lora_B.bias": TensorKey(Q0, "lora_B", bias=True),
    f"base_model.model.{Q0}.lora_B.default.bias": TensorKey(Q0, "lora_B", bias=True),
    "base_model.model.model.norm.weight": TensorKey("model.norm", "weight"),
    "base_model.model.lm_head.base_layer.weight": TensorKey("lm_head", "weight", depth=1),
    f"base_model.model.{Q0}.lora_A.weight.absmax.x": TensorKey(Q0, "lora_A.weight.absmax.x"),
    f"module._orig_mod.base_model.model.{Q0}.lora_A.weight": TensorKey(Q0, "lora_A"),
    f"_orig_mod.module.base_model.model.{Q0}.lora_A.weight": TensorKey(Q0, "lora_A"),
    f"module.module.base_model.model.{Q0}.lora_A.weight": TensorKey(Q0, "lora_A"),
    f"_forward_module.base_model.model.{Q0}.lora_A.weight": TensorKey(Q0, "lora_A"),
    f"model.base_model.model.{Q0}.lora_A.weight": TensorKey(Q0, "lora_A"),
    f"base_model.model.base_model.model.{Q0}.lora_A.weight": TensorKey(Q0, "lora_A"),
    f"base_model.model.module.{Q0}.lora_A.weight": TensorKey(Q0, "lora_A"),
    f"module.{Q0}.lora_A.weight": TensorKey(Q0, "lora_A"),
    f"model.{Q0}.lora_A.weight": TensorKey(Q0, "lora_A", trained=f"model.{Q0}"),
    f"base_model.model.thinker.{Q0}.lora_A.weight": TensorKey(Q0, "lora_A", trained=f"thinker.{Q0}"),
    f"base_model.model.llm.{Q0}.lora_A.weight": TensorKey(Q0, "lora_A", trained=f"llm.{Q0}"),
    "base_model.model.model.text_model.layers.0.self_attn.q_proj.lora_A.weight": TensorKey(
        Q0, "lora_A", trained="model.text_model.layers.0.self_attn.q_proj"
    ),
    "base_model.model.h.0.attn.c_attn.lora_A.weight": TensorKey("h.0.attn.c_attn", "lora_A"),
    f"base_model.model.{Q0}.lora_a.weight": TensorKey(Q0, "lora_A"),
    f"base_model.model.{Q0}.lora_down.weight": TensorKey(Q0, "lora_A"),
    f"{Q0}.alpha": TensorKey(Q0, "alpha"),
    "lora_unet_model_layers_0_self_attn_q_proj.lora_up.weight": TensorKey(Q0, "lora_B"),
    "lora_A": TensorKey("", "lora_A"),
    "": TensorKey("", ""),
}  # fmt: skip


@pytest.mark.parametrize(("name", "spelled"), SPELLINGS.items())
def test_spellings(name, spelled):
    """A name says its module, its part, and how deep it is wrapped."""
    assert parse_key(name, PARTS) == spelled


@pytest.mark.parametrize("number", ["7", "12", "007", "99999999"])
@pytest.mark.parametrize(("name", "spelled"), [each for each in SPELLINGS.items() if ".0." in each[0]])
def test_numbers(name, spelled, number):
    """Names that differ in a number alone differ in nothing else."""
    parse_key(name, PARTS)
    module, trained = (text.replace(".0.", f".{number}.") for text in (spelled.module, spelled.trained))
    assert parse_key(name.replace(".0.", f".{number}."), PARTS) == spelled._replace(
        module=module, trained=trained
    )


def test_a_number_where_none_is_expected():
    """A number may stand anywhere, also in front of PEFT's prefix and as the name of the adapter."""
    for number in ("0", "31"):
        name = f"{number}.1.base_model.model.{Q0}.lora_A.{number}.weight"
        assert parse_key(name, PARTS) == TensorKey(Q0, "lora_A")
        assert parse_key(f"base_model.model.{Q0}.lora_A.{number}.absmax.x", PARTS) == TensorKey(
            Q0, f"lora_A.{number}.absmax.x"
        )
        assert parse_key(f"{number}.\0.{number}.lora_A.weight", PARTS) == TensorKey(
            f"{number}.\0.{number}", "lora_A"
        )


@pytest.mark.parametrize("name", [Q0, "lm_head", "model.embed_tokens", "transformer.h.0.attn.c_attn"])
def test_usual_modules_stay(name):
    """A module of a text model keeps its name."""
    assert text_module(name) == name


@pytest.mark.parametrize(
    ("module", "tower"),
    [
        ("model.vision_tower.encoder.layers.0.q_proj", True),
        ("model.visual.blocks.0.attn.qkv", True),
        ("model.multi_modal_projector.linear_1", True),
        ("audio_tower.layers.0.fc1", True),
        ("model.mm_projector.0", True),
        ("model.connector.modality_projection.proj", True),
        ("vpm.encoder.layers.0.self_attn.q_proj", True),
        (Q0, False),
        ("model.layers.0.mlp.supervised", False),
        ("model.layers.0.imagenet", False),
    ],
)
def test_towers(module, tower):
    """Parts that see or hear are told by a whole word in their name."""
    assert is_tower(module) is tower
