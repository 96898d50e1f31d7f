"""Architectures whose classes come with their models, not with transformers."""

from ollama_pack.archs.layouts import HEAD, fused_attention, gated_decoder, plain
from ollama_pack.archs.orders import rope_k, rope_q
from ollama_pack.archs.row import Arch, Kind, Weight

_BLOCK = "transformer.h.{i}"
_EMBEDDING = Weight(
    "transformer.wte", "token_embd", None, ("vocab", "hidden"), optional=True, kind=Kind.EMBEDDING
)

MINICPM = Arch(name="minicpm", classes=("MiniCPMForCausalLM",), weights=gated_decoder(rope_q, rope_k))
ORION = Arch(name="orion", classes=("OrionForCausalLM",), weights=gated_decoder())
EXAONE = Arch(
    name="exaone",
    classes=("ExaoneForCausalLM",),
    weights=(
        Weight(f"{_BLOCK}.attn.attention.q_proj", "blk.{i}.attn_q", None, ("heads", "hidden")),
        Weight(f"{_BLOCK}.attn.attention.k_proj", "blk.{i}.attn_k", None, ("kv_heads", "hidden")),
        Weight(f"{_BLOCK}.attn.attention.v_proj", "blk.{i}.attn_v", None, ("kv_heads", "hidden")),
        Weight(f"{_BLOCK}.attn.attention.out_proj", "blk.{i}.attn_output", None, ("hidden", "heads")),
        Weight(f"{_BLOCK}.mlp.c_fc_0", "blk.{i}.ffn_gate", None, ("feed_forward", "hidden")),
        Weight(f"{_BLOCK}.mlp.c_fc_1", "blk.{i}.ffn_up", None, ("feed_forward", "hidden")),
        Weight(f"{_BLOCK}.mlp.c_proj", "blk.{i}.ffn_down", None, ("hidden", "feed_forward")),
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
