"""Nemotron, and Nemotron-H, in which a layer is Mamba, attention or feed-forward, dense or with experts."""

from ollama_pack.arch.blocks import (
    EMBEDDING,
    HEAD,
    LAYER,
    MAMBA_MIXER,
    attention,
    embedding,
    mamba2_mixer,
    mlp,
    router,
    ungated_experts,
)
from ollama_pack.arch.permutations import rope_k, rope_q
from ollama_pack.arch.spec import NOT_APPLIED, Arch, Weight

NEMOTRON = Arch(
    name="nemotron",
    hf_classes=("NemotronForCausalLM",),
    weights=(*attention(), *mlp(f"{LAYER}.mlp"), HEAD, EMBEDDING),
)


def _nemotron(module: str) -> tuple[Weight, ...]:
    """Return the weights of Nemotron-H, where the module of every kind of layer is called ``mixer``."""
    return (*attention(rope_q, rope_k, module), *mamba2_mixer(module), *mlp(module))


def _nemotron_experts(module: str) -> tuple[Weight, ...]:
    """Return the weights of Nemotron-H's experts.

    The latent projections before and after the experts are unsupported: llama.cpp applies no LoRA to them.
    """
    around, size = ("unknown", "unknown"), ("unknown", "hidden")
    return (
        router(f"{module}.gate"),
        *ungated_experts(f"{module}.experts"),
        Weight(f"{module}.shared_experts.up_proj", "blk.{i}.ffn_up_shexp", None, size),
        Weight(f"{module}.shared_experts.down_proj", "blk.{i}.ffn_down_shexp", None, size[::-1]),
        Weight(f"{module}.fc1_latent_proj", "blk.{i}.ffn_latent_down", None, around, unsupported=NOT_APPLIED),
        Weight(f"{module}.fc2_latent_proj", "blk.{i}.ffn_latent_up", None, around, unsupported=NOT_APPLIED),
    )


# transformers names the layers ``model.layers``; the code published with the models names them ``backbone``.
_AS_PUBLISHED = embedding("backbone.embeddings")
NEMOTRON_H = Arch(
    name="nemotron_h",
    hf_classes=("NemotronHForCausalLM",),
    alternatives=("nemotron_h_moe",),
    weights=(*_nemotron(f"{LAYER}.mixer"), *_nemotron(MAMBA_MIXER), HEAD, EMBEDDING, _AS_PUBLISHED),
)
NEMOTRON_H_MOE = Arch(
    name="nemotron_h_moe",
    hf_classes=NEMOTRON_H.hf_classes,
    weights=(
        *NEMOTRON_H.weights,
        *_nemotron_experts(f"{LAYER}.mixer"),
        *_nemotron_experts(MAMBA_MIXER),
    ),
)
