"""Phi 1 to 4 and Phi-MoE. Since Phi 3, q, k and v are fused, and gate and up, also in llama.cpp."""

from ollama_pack.arch.blocks import (
    EMBEDDING,
    HEAD,
    HEAD_AND_EMBEDDING,
    LAYER,
    SPARSE_MOE,
    attention,
    experts,
    fused_attention,
    fused_experts,
    fused_gate,
    mlp,
    router,
)
from ollama_pack.arch.permutations import first_half, second_half
from ollama_pack.arch.spec import Arch, Kind

PHI2 = Arch(
    name="phi2",
    hf_classes=("PhiForCausalLM",),
    weights=(
        *attention(output="dense"),
        *mlp(f"{LAYER}.mlp", "fc1", "fc2"),
        HEAD,
        EMBEDDING,
    ),
)
PHI3 = Arch(
    name="phi3",
    hf_classes=("Phi3ForCausalLM",),
    weights=(
        *fused_attention(f"{LAYER}.self_attn", "qkv_proj", "o_proj"),
        *fused_gate(f"{LAYER}.mlp"),
        HEAD,
        EMBEDDING,
    ),
)
PHIMOE = Arch(
    name="phimoe",
    hf_classes=("PhiMoEForCausalLM", "PhimoeForCausalLM"),
    weights=(
        *attention(),
        *(router(f"{SPARSE_MOE}.gate"), router(f"{LAYER}.mlp.router")),
        *experts(f"{SPARSE_MOE}.experts", "w1", "w3", "w2"),
        *fused_experts(f"{LAYER}.mlp.experts", Kind.EXPERTS, first_half, second_half),
        *HEAD_AND_EMBEDDING,
    ),
)
