"""Baichuan: q, k and v are concatenated in one weight, which llama.cpp splits."""

from ollama_pack.arch.blocks import EMBEDDING, HEAD, LAYER, SELF_ATTENTION, gated_mlp, split_attention
from ollama_pack.arch.permutations import PACKED
from ollama_pack.arch.spec import Arch

BAICHUAN = Arch(
    name="baichuan",
    hf_classes=("BaichuanForCausalLM", "BaiChuanForCausalLM"),
    weights=(
        *split_attention(f"{SELF_ATTENTION}.W_pack", f"{SELF_ATTENTION}.o_proj", PACKED),
        *gated_mlp(f"{LAYER}.mlp"),
        HEAD,
        EMBEDDING,
    ),
)
