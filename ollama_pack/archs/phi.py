"""Phi 1 to 4: separate weights at first, then q, k and v in one, and gate and up in one, on both sides."""

from ollama_pack.archs.layouts import EMBEDDING, HEAD, LAYER, attention, fused_attention, fused_gate, plain
from ollama_pack.archs.row import Arch

PHI2 = Arch(
    name="phi2",
    classes=("PhiForCausalLM",),
    weights=(
        *attention(output="dense"),
        *plain(f"{LAYER}.mlp", "fc1", "fc2"),
        HEAD,
        EMBEDDING,
    ),
)
PHI3 = Arch(
    name="phi3",
    classes=("Phi3ForCausalLM",),
    weights=(
        *fused_attention(f"{LAYER}.self_attn", "qkv_proj", "o_proj"),
        *fused_gate(f"{LAYER}.mlp"),
        HEAD,
        EMBEDDING,
    ),
)
