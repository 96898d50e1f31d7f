"""Mamba 1 and 2, and what has Mamba layers beside attention: Falcon-H1, Granite 4, Bamba, Nemotron-H."""

from ollama_pack.archs.granite import HYBRID
from ollama_pack.archs.layouts import (
    EMBEDDING,
    HEAD,
    LAYER,
    attention,
    embedding,
    gated,
    granite_experts,
    granite_shared,
    plain,
    plain_experts,
    router,
    scaled,
    steps,
)
from ollama_pack.archs.orders import rope_k, rope_q
from ollama_pack.archs.row import IGNORED, Arch, Weight
from ollama_pack.archs.scales import state_space_inputs, whole

_MIXER = "backbone.layers.{i}.mixer"


def _mamba2(module: str) -> tuple[Weight, ...]:
    return (
        Weight(f"{module}.in_proj", "blk.{i}.ssm_in", None, ("ssm_in", "hidden")),
        Weight(f"{module}.out_proj", "blk.{i}.ssm_out", None, ("hidden", "ssm_inner")),
    )


MAMBA = Arch(
    name="mamba",
    classes=("MambaForCausalLM", "FalconMambaForCausalLM"),
    tied=True,
    weights=(
        Weight(f"{_MIXER}.in_proj", "blk.{i}.ssm_in", None, ("unknown", "hidden")),
        Weight(f"{_MIXER}.x_proj", "blk.{i}.ssm_x", None, ("unknown", "ssm_inner")),
        Weight(f"{_MIXER}.out_proj", "blk.{i}.ssm_out", None, ("hidden", "ssm_inner")),
        steps(_MIXER),
        HEAD,
        embedding("backbone.embeddings"),
    ),
)
MAMBA2 = Arch(
    name="mamba2",
    classes=("Mamba2ForCausalLM",),
    weights=(*_mamba2(_MIXER), HEAD, embedding("backbone.embeddings")),
)

FALCON_H1 = Arch(
    name="falcon-h1",
    classes=("FalconH1ForCausalLM",),
    weights=scaled(
        (
            *(*attention(), *gated(f"{LAYER}.feed_forward")),
            *(*_mamba2(f"{LAYER}.mamba"), HEAD, EMBEDDING),
        ),
        {
            "q_proj": whole("attention_in_multiplier"),
            "k_proj": whole("key_multiplier", "attention_in_multiplier"),
            "v_proj": whole("attention_in_multiplier"),
            "o_proj": whole("attention_out_multiplier"),
            "gate_proj": whole("mlp_multipliers"),
            "down_proj": whole("mlp_multipliers", place=1),
            "in_proj": state_space_inputs,
            "out_proj": whole("ssm_out_multiplier"),
            "lm_head": whole("lm_head_multiplier"),
            "embed_tokens": whole("embedding_multiplier"),
        },
    ),
)

GRANITEHYBRID = Arch(
    name="granitehybrid",
    classes=(HYBRID, "BambaForCausalLM"),
    also=("granite", "granitemoe"),
    weights=(
        *attention(rope_q, rope_k),
        *_mamba2(f"{LAYER}.mamba"),
        # The block beside the experts, or the only one.
        *granite_shared(f"{LAYER}.shared_mlp", alone=True),
        *granite_experts(f"{LAYER}.block_sparse_moe"),
        *gated(f"{LAYER}.feed_forward"),
        HEAD,
        EMBEDDING,
    ),
)


def _nemotron(module: str) -> tuple[Weight, ...]:
    """Return the weights of Nemotron-H, whose layers are each of one kind and all called mixer."""
    return (*attention(rope_q, rope_k, module), *_mamba2(module), *plain(module))


def _nemotron_experts(module: str) -> tuple[Weight, ...]:
    """Return those of its experts; llama.cpp multiplies the two projections around them without LoRA."""
    around, size = ("unknown", "unknown"), ("unknown", "hidden")
    return (
        router(f"{module}.gate"),
        *plain_experts(f"{module}.experts"),
        Weight(f"{module}.shared_experts.up_proj", "blk.{i}.ffn_up_shexp", None, size),
        Weight(f"{module}.shared_experts.down_proj", "blk.{i}.ffn_down_shexp", None, size[::-1]),
        Weight(f"{module}.fc1_latent_proj", "blk.{i}.ffn_latent_down", None, around, refused=IGNORED),
        Weight(f"{module}.fc2_latent_proj", "blk.{i}.ffn_latent_up", None, around, refused=IGNORED),
    )


# transformers calls the layers as its other models do; the models' own code calls them a backbone.
_AS_PUBLISHED = embedding("backbone.embeddings")
NEMOTRON_H = Arch(
    name="nemotron_h",
    classes=("NemotronHForCausalLM",),
    also=("nemotron_h_moe",),
    weights=(*_nemotron(f"{LAYER}.mixer"), *_nemotron(_MIXER), HEAD, EMBEDDING, _AS_PUBLISHED),
)
NEMOTRON_H_MOE = Arch(
    name="nemotron_h_moe",
    classes=NEMOTRON_H.classes,
    weights=(
        *NEMOTRON_H.weights,
        *_nemotron_experts(f"{LAYER}.mixer"),
        *_nemotron_experts(_MIXER),
    ),
)
