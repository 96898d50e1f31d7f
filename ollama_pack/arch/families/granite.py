"""IBM Granite 1 to 4: dense models, mixtures of experts, and hybrids with Mamba layers, like Bamba."""

from ollama_pack.arch.blocks import (
    EMBEDDING,
    HEAD,
    HEAD_AND_EMBEDDING,
    LAYER,
    SPARSE_MOE,
    attention,
    fused_experts,
    gated_decoder,
    gated_mlp,
    mamba2_mixer,
    router,
)
from ollama_pack.arch.permutations import first_half, rope_k, rope_q, second_half
from ollama_pack.arch.spec import Arch, Kind, Weight


def granite_experts(module: str) -> tuple[Weight, ...]:
    """Return the weights of Granite's routed experts, with gate and up fused, and of their router."""
    into, back = ("expert_feed_forward", "hidden"), ("hidden", "expert_feed_forward")
    return (
        router(f"{module}.router.layer"),
        Weight(f"{module}.input_linear", "blk.{i}.ffn_gate_exps", first_half, into, kind=Kind.EXPERTS),
        Weight(f"{module}.input_linear", "blk.{i}.ffn_up_exps", second_half, into, kind=Kind.EXPERTS),
        Weight(f"{module}.output_linear", "blk.{i}.ffn_down_exps", None, back, kind=Kind.EXPERTS),
        *fused_experts(f"{module}.experts", Kind.EXPERTS, first_half, second_half),
    )


def granite_shared(module: str, suffix: str = "_shexp", *, alone: bool = False) -> tuple[Weight, ...]:
    """Return the weights of Granite's shared expert, with gate and up fused.

    Args:
        module: the name of the shared expert in Hugging Face's model.
        suffix: the suffix of the tensors' names in llama.cpp, or an empty string if the architecture never
            has routed experts.
        alone: whether some models have no routed experts, so that this is their feed-forward block.
    """
    size = "unknown" if suffix else "feed_forward"
    into, back = (size, "hidden"), ("hidden", size)
    return tuple(
        Weight(
            f"{module}.{name}",
            f"blk.{{i}}.{tensor}{suffix}",
            rows,
            shape,
            dense_tensor=f"blk.{{i}}.{tensor}" if alone else "",
        )
        for name, tensor, rows, shape in (
            ("input_linear", "ffn_gate", first_half, into),
            ("input_linear", "ffn_up", second_half, into),
            ("output_linear", "ffn_down", None, back),
        )
    )


GRANITE_4_CLASS = "GraniteMoeHybridForCausalLM"
"""Hugging Face class of every Granite 4. Without Mamba layers, llama.cpp's architecture is ``granite`` or
``granitemoe``."""

GRANITE = Arch(
    name="granite",
    hf_classes=("GraniteForCausalLM", GRANITE_4_CLASS),
    weights=(*gated_decoder(rope_q, rope_k), *granite_shared(f"{LAYER}.shared_mlp", "")),
)
GRANITEHYBRID = Arch(
    name="granitehybrid",
    hf_classes=(GRANITE_4_CLASS, "BambaForCausalLM"),
    alternatives=("granite", "granitemoe"),
    weights=(
        *attention(rope_q, rope_k),
        *mamba2_mixer(f"{LAYER}.mamba"),
        # In models without routed experts, this is the only feed-forward block.
        *granite_shared(f"{LAYER}.shared_mlp", alone=True),
        *granite_experts(f"{LAYER}.block_sparse_moe"),
        *gated_mlp(f"{LAYER}.feed_forward"),
        HEAD,
        EMBEDDING,
    ),
)
GRANITEMOE = Arch(
    name="granitemoe",
    hf_classes=("GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM", GRANITE_4_CLASS),
    weights=(
        *attention(rope_q, rope_k),
        *granite_experts(SPARSE_MOE),
        *granite_shared(f"{LAYER}.shared_mlp"),
        *HEAD_AND_EMBEDDING,
    ),
)
