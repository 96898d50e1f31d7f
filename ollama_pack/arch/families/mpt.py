"""MPT: a fused q, k and v, and a feed-forward block without a gate."""

from ollama_pack.arch.blocks import GPT_EMBEDDING, HEAD, fused_attention, mlp
from ollama_pack.arch.spec import Arch

MPT = Arch(
    name="mpt",
    hf_classes=("MPTForCausalLM",),
    tied=True,
    weights=(
        *fused_attention("transformer.blocks.{i}.attn", "Wqkv", "out_proj"),
        *mlp("transformer.blocks.{i}.ffn"),
        HEAD,
        GPT_EMBEDDING,
    ),
)
