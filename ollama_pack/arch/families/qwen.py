"""Qwen 1 to 3.5, their mixtures of experts, Qwen3-Next, and the text part of Qwen-VL.

Qwen 1 to 3 need no row order, because Hugging Face and llama.cpp both rotate the halves of a head. Qwen3-Next
and Qwen 3.5 have gated delta nets in most layers; their row orders are in `ollama_pack.arch.delta_net`.
"""

from ollama_pack.arch.blocks import (
    EMBEDDING,
    GPT_EMBEDDING,
    GPT_LAYER,
    HEAD,
    LAYER,
    attention,
    fused_attention,
    gated_decoder,
    gated_mlp,
    moe,
    moe_decoder,
)
from ollama_pack.arch.delta_net import (
    delta_gate,
    delta_qkv,
    interleaved_heads,
    interleaved_qkv,
    interleaved_values,
)
from ollama_pack.arch.spec import Arch, Weight

QWEN2 = Arch(name="qwen2", hf_classes=("Qwen2ForCausalLM",), weights=gated_decoder())
QWEN3 = Arch(name="qwen3", hf_classes=("Qwen3ForCausalLM",), weights=gated_decoder())
QWEN2MOE = Arch(
    name="qwen2moe",
    hf_classes=("Qwen2MoeForCausalLM",),
    weights=(
        *attention(),
        *moe(shared="shared_expert", block=False),
        Weight(f"{LAYER}.mlp.shared_expert_gate", "blk.{i}.ffn_gate_inp_shexp", None, ("unknown", "hidden")),
        HEAD,
        EMBEDDING,
    ),
)
QWEN3MOE = Arch(
    name="qwen3moe",
    hf_classes=("Qwen3MoeForCausalLM",),
    weights=(
        *attention(),
        *moe(block=False),
        HEAD,
        EMBEDDING,
    ),
)
QWEN2VL = Arch(
    name="qwen2vl",
    hf_classes=("Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"),
    weights=gated_decoder(),
)
QWEN3VL = Arch(name="qwen3vl", hf_classes=("Qwen3VLForConditionalGeneration",), weights=gated_decoder())
QWEN = Arch(
    name="qwen",
    hf_classes=("QWenLMHeadModel",),
    weights=(
        *fused_attention(f"{GPT_LAYER}.attn", "c_attn", "c_proj"),
        Weight(f"{GPT_LAYER}.mlp.w1", "blk.{i}.ffn_up", None, ("unknown", "hidden")),
        Weight(f"{GPT_LAYER}.mlp.w2", "blk.{i}.ffn_gate", None, ("unknown", "hidden")),
        Weight(f"{GPT_LAYER}.mlp.c_proj", "blk.{i}.ffn_down", None, ("hidden", "unknown")),
        HEAD,
        GPT_EMBEDDING,
    ),
)


QWEN3VLMOE = moe_decoder("qwen3vlmoe", "Qwen3VLMoeForConditionalGeneration", shared="")
_DELTA_NET = f"{LAYER}.linear_attn"
_GATED_ATTENTION = (
    # q_proj holds, head by head, the queries and then the output gate, both in Hugging Face and in llama.cpp.
    Weight(f"{LAYER}.self_attn.q_proj", "blk.{i}.attn_q", None, ("gated_heads", "hidden")),
    Weight(f"{LAYER}.self_attn.k_proj", "blk.{i}.attn_k", None, ("kv_heads", "hidden")),
    Weight(f"{LAYER}.self_attn.v_proj", "blk.{i}.attn_v", None, ("kv_heads", "hidden")),
    Weight(f"{LAYER}.self_attn.o_proj", "blk.{i}.attn_output", None, ("hidden", "heads")),
)

_INTERLEAVED_DELTA_NET = (
    Weight(f"{_DELTA_NET}.in_proj_qkv", "blk.{i}.attn_qkv", interleaved_qkv, ("ssm_qkv", "hidden")),
    Weight(f"{_DELTA_NET}.in_proj_z", "blk.{i}.attn_gate", interleaved_values, ("ssm_inner", "hidden")),
    Weight(f"{_DELTA_NET}.in_proj_a", "blk.{i}.ssm_alpha", interleaved_heads, ("ssm_heads", "hidden")),
    Weight(f"{_DELTA_NET}.in_proj_b", "blk.{i}.ssm_beta", interleaved_heads, ("ssm_heads", "hidden")),
    Weight(
        f"{_DELTA_NET}.out_proj", "blk.{i}.ssm_out", None, ("hidden", "ssm_inner"), columns=interleaved_values
    ),
)

_SHARED_EXPERT_MOE = (
    *moe(shared="shared_expert", block=False),
    Weight(f"{LAYER}.mlp.shared_expert_gate", "blk.{i}.ffn_gate_inp_shexp", None, ("unknown", "hidden")),
)

QWEN3NEXT = Arch(
    name="qwen3next",
    hf_classes=("Qwen3NextForCausalLM",),
    weights=(
        Weight(f"{_DELTA_NET}.in_proj_qkvz", "blk.{i}.attn_qkv", delta_qkv, ("ssm_qkv", "hidden")),
        Weight(f"{_DELTA_NET}.in_proj_qkvz", "blk.{i}.attn_gate", delta_gate, ("ssm_inner", "hidden")),
        Weight(f"{_DELTA_NET}.in_proj_ba", "blk.{i}.ssm_ba", None, ("unknown", "hidden")),
        Weight(f"{_DELTA_NET}.out_proj", "blk.{i}.ssm_out", None, ("hidden", "ssm_inner")),
        *(*_GATED_ATTENTION, *_SHARED_EXPERT_MOE, HEAD, EMBEDDING),
    ),
)
QWEN35 = Arch(
    name="qwen35",
    hf_classes=("Qwen3_5ForCausalLM", "Qwen3_5ForConditionalGeneration"),
    weights=(*_INTERLEAVED_DELTA_NET, *_GATED_ATTENTION, *gated_mlp(f"{LAYER}.mlp"), HEAD, EMBEDDING),
)
QWEN35MOE = Arch(
    name="qwen35moe",
    hf_classes=("Qwen3_5MoeForCausalLM", "Qwen3_5MoeForConditionalGeneration"),
    weights=(*_INTERLEAVED_DELTA_NET, *_GATED_ATTENTION, *_SHARED_EXPERT_MOE, HEAD, EMBEDDING),
)
