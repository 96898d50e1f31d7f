"""Qwen3-Next and Qwen 3.5: gated delta nets in most layers, attention with a gate in the others."""

from ollama_pack.archs.deltas import dealt_heads, dealt_qkv, dealt_values, delta_gate, delta_qkv
from ollama_pack.archs.layouts import EMBEDDING, HEAD, LAYER, gated, mixture
from ollama_pack.archs.row import Arch, Weight

_LINEAR = f"{LAYER}.linear_attn"
_ATTENTION = (
    # Queries and the gate of the output are one weight, of each head together on both sides.
    Weight(f"{LAYER}.self_attn.q_proj", "blk.{i}.attn_q", None, ("gated_heads", "hidden")),
    Weight(f"{LAYER}.self_attn.k_proj", "blk.{i}.attn_k", None, ("kv_heads", "hidden")),
    Weight(f"{LAYER}.self_attn.v_proj", "blk.{i}.attn_v", None, ("kv_heads", "hidden")),
    Weight(f"{LAYER}.self_attn.o_proj", "blk.{i}.attn_output", None, ("hidden", "heads")),
)
_DEALT = (
    Weight(f"{_LINEAR}.in_proj_qkv", "blk.{i}.attn_qkv", dealt_qkv, ("ssm_qkv", "hidden")),
    Weight(f"{_LINEAR}.in_proj_z", "blk.{i}.attn_gate", dealt_values, ("ssm_inner", "hidden")),
    Weight(f"{_LINEAR}.in_proj_a", "blk.{i}.ssm_alpha", dealt_heads, ("ssm_heads", "hidden")),
    Weight(f"{_LINEAR}.in_proj_b", "blk.{i}.ssm_beta", dealt_heads, ("ssm_heads", "hidden")),
    Weight(f"{_LINEAR}.out_proj", "blk.{i}.ssm_out", None, ("hidden", "ssm_inner"), columns=dealt_values),
)
_MIXTURE = (
    *mixture(shared="shared_expert", block=False),
    Weight(f"{LAYER}.mlp.shared_expert_gate", "blk.{i}.ffn_gate_inp_shexp", None, ("unknown", "hidden")),
)

QWEN3NEXT = Arch(
    name="qwen3next",
    classes=("Qwen3NextForCausalLM",),
    weights=(
        Weight(f"{_LINEAR}.in_proj_qkvz", "blk.{i}.attn_qkv", delta_qkv, ("ssm_qkv", "hidden")),
        Weight(f"{_LINEAR}.in_proj_qkvz", "blk.{i}.attn_gate", delta_gate, ("ssm_inner", "hidden")),
        Weight(f"{_LINEAR}.in_proj_ba", "blk.{i}.ssm_ba", None, ("unknown", "hidden")),
        Weight(f"{_LINEAR}.out_proj", "blk.{i}.ssm_out", None, ("hidden", "ssm_inner")),
        *(*_ATTENTION, *_MIXTURE, HEAD, EMBEDDING),
    ),
)
QWEN35 = Arch(
    name="qwen35",
    classes=("Qwen3_5ForCausalLM", "Qwen3_5ForConditionalGeneration"),
    weights=(*_DEALT, *_ATTENTION, *gated(f"{LAYER}.mlp"), HEAD, EMBEDDING),
)
QWEN35MOE = Arch(
    name="qwen35moe",
    classes=("Qwen3_5MoeForCausalLM", "Qwen3_5MoeForConditionalGeneration"),
    weights=(*_DEALT, *_ATTENTION, *_MIXTURE, HEAD, EMBEDDING),
)
