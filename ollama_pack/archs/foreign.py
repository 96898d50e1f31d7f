"""Architectures whose classes come with their models, not with transformers."""

from ollama_pack.archs.layouts import HEAD, attention, embedding, fused_attention, gated, gated_decoder, plain
from ollama_pack.archs.orders import rope_k, rope_q
from ollama_pack.archs.row import Arch, Weight

_BLOCK = "transformer.h.{i}"
_EMBEDDING = embedding("transformer.wte")

MINICPM = Arch(name="minicpm", classes=("MiniCPMForCausalLM",), weights=gated_decoder(rope_q, rope_k))
ORION = Arch(name="orion", classes=("OrionForCausalLM",), weights=gated_decoder())
EXAONE = Arch(
    name="exaone",
    classes=("ExaoneForCausalLM",),
    weights=(
        *attention(module=f"{_BLOCK}.attn.attention", output="out_proj"),
        *gated(f"{_BLOCK}.mlp", names=("c_fc_0", "c_fc_1", "c_proj")),
        HEAD,
        _EMBEDDING,
    ),
)
QWEN = Arch(
    name="qwen",
    classes=("QWenLMHeadModel",),
    weights=(
        *fused_attention(f"{_BLOCK}.attn", "c_attn", "c_proj"),
        Weight(f"{_BLOCK}.mlp.w1", "blk.{i}.ffn_up", None, ("unknown", "hidden")),
        Weight(f"{_BLOCK}.mlp.w2", "blk.{i}.ffn_gate", None, ("unknown", "hidden")),
        Weight(f"{_BLOCK}.mlp.c_proj", "blk.{i}.ffn_down", None, ("hidden", "unknown")),
        HEAD,
        _EMBEDDING,
    ),
)
MPT = Arch(
    name="mpt",
    classes=("MPTForCausalLM",),
    tied=True,
    weights=(
        *fused_attention("transformer.blocks.{i}.attn", "Wqkv", "out_proj"),
        *plain("transformer.blocks.{i}.ffn"),
        HEAD,
        _EMBEDDING,
    ),
)
