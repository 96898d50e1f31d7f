"""CodeShell: a fused q, k and v, and a feed-forward block without a gate."""

from ollama_pack.arch.blocks import GPT_EMBEDDING, GPT_LAYER, HEAD, fused_attention, mlp
from ollama_pack.arch.spec import Arch

CODESHELL = Arch(
    name="codeshell",
    hf_classes=("CodeShellForCausalLM",),
    weights=(
        *fused_attention(f"{GPT_LAYER}.attn", "c_attn", "c_proj"),
        *mlp(f"{GPT_LAYER}.mlp", "c_fc", "c_proj"),
        HEAD,
        GPT_EMBEDDING,
    ),
)
