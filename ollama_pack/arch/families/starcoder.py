"""StarCoder 1 and 2: feed-forward blocks without a gate. StarCoder 1 has a fused q, k and v."""

from ollama_pack.arch.blocks import (
    EMBEDDING,
    GPT_EMBEDDING,
    GPT_LAYER,
    HEAD,
    LAYER,
    attention,
    fused_attention,
    mlp,
)
from ollama_pack.arch.spec import Arch

STARCODER = Arch(
    name="starcoder",
    hf_classes=("GPTBigCodeForCausalLM",),
    tied=True,
    weights=(
        *fused_attention(f"{GPT_LAYER}.attn", "c_attn", "c_proj"),
        *mlp(f"{GPT_LAYER}.mlp", "c_fc", "c_proj"),
        HEAD,
        GPT_EMBEDDING,
    ),
)
STARCODER2 = Arch(
    name="starcoder2",
    hf_classes=("Starcoder2ForCausalLM",),
    tied=True,
    weights=(*attention(), *mlp(f"{LAYER}.mlp", "c_fc", "c_proj"), HEAD, EMBEDDING),
)
