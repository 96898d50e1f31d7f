"""IBM Granite 1 to 4: dense, with experts, and hybrids with Mamba layers; Bamba is one of the latter."""

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
    """Return the weights of Granite's routed experts, gate and up in one, and what chooses them."""
    into, back = ("expert_feed_forward", "hidden"), ("hidden", "expert_feed_forward")
    return (
        router(f"{module}.router.layer"),
        Weight(f"{module}.input_linear", "blk.{i}.ffn_gate_exps", first_half, into, kind=Kind.EXPERTS),
        Weight(f"{module}.input_linear", "blk.{i}.ffn_up_exps", second_half, into, kind=Kind.EXPERTS),
        Weight(f"{module}.output_linear", "blk.{i}.ffn_down_exps", None, back, kind=Kind.EXPERTS),
        *fused_experts(f"{module}.experts", Kind.EXPERTS, first_half, second_half),
    )


def granite_shared(module: str, suffix: str = "_shexp", *, alone: bool = False) -> tuple[Weight, ...]:
    """Return the weights of Granite's block beside the experts, gate and up in one.

    Args:
        module: what Hugging Face calls it.
        suffix: what llama.cpp puts behind its names; empty where there never are experts.
        alone: whether there are models without experts, of which it is the only block.
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
"""The class of all Granite 4; one whose layers all are attention is a Granite, or a mixture, to llama.cpp."""

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
        # The block beside the experts, or the only one.
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
