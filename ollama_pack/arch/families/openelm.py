"""OpenELM: gate and up are fused, llama.cpp splits them, and their sizes differ by layer."""

from ollama_pack.arch.blocks import embedding, fused_attention
from ollama_pack.arch.permutations import first_half, second_half
from ollama_pack.arch.spec import Arch, Weight

_OPENELM_LAYER = "transformer.layers.{i}"
OPENELM = Arch(
    name="openelm",
    hf_classes=("OpenELMForCausalLM",),
    tied=True,
    weights=(
        *fused_attention(f"{_OPENELM_LAYER}.attn", "qkv_proj", "out_proj"),
        Weight(f"{_OPENELM_LAYER}.ffn.proj_1", "blk.{i}.ffn_gate", first_half, ("unknown", "hidden")),
        Weight(f"{_OPENELM_LAYER}.ffn.proj_1", "blk.{i}.ffn_up", second_half, ("unknown", "hidden")),
        Weight(f"{_OPENELM_LAYER}.ffn.proj_2", "blk.{i}.ffn_down", None, ("hidden", "unknown")),
        embedding("transformer.token_embeddings"),
    ),
)
