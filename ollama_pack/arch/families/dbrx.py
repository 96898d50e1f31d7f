"""DBRX: PEFT cannot train its experts, so only attention and router have a row."""

from ollama_pack.arch.blocks import HEAD, embedding, fused_attention, router
from ollama_pack.arch.spec import Arch

_DBRX_LAYER = "transformer.blocks.{i}"

# Its experts are one matrix, cut into rows; PEFT cannot train them.
DBRX = Arch(
    name="dbrx",
    hf_classes=("DbrxForCausalLM",),
    weights=(
        *fused_attention(f"{_DBRX_LAYER}.norm_attn_norm.attn", "Wqkv", "out_proj"),
        router(f"{_DBRX_LAYER}.ffn.router.layer"),
        HEAD,
        embedding("transformer.wte"),
    ),
)
