"""DBRX: only attention, router, head and embedding, because PEFT cannot train its experts."""

from ollama_pack.arch.blocks import HEAD, embedding, fused_attention, router
from ollama_pack.arch.spec import Arch

_DBRX_LAYER = "transformer.blocks.{i}"

# Each matrix of the experts is one parameter for all of them, stacked by rows, which PEFT cannot train.
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
