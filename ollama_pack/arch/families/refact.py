"""Refact: k and v are fused, and gate and up; llama.cpp splits both."""

from ollama_pack.arch.blocks import GPT_EMBEDDING, GPT_LAYER, HEAD
from ollama_pack.arch.permutations import first_half, second_half
from ollama_pack.arch.spec import Arch, Weight

REFACT = Arch(
    name="refact",
    hf_classes=("GPTRefactForCausalLM",),
    weights=(
        Weight(f"{GPT_LAYER}.attn.q", "blk.{i}.attn_q", None, ("heads", "hidden")),
        Weight(f"{GPT_LAYER}.attn.kv", "blk.{i}.attn_k", first_half, ("kv_heads", "hidden")),
        Weight(f"{GPT_LAYER}.attn.kv", "blk.{i}.attn_v", second_half, ("kv_heads", "hidden")),
        Weight(f"{GPT_LAYER}.attn.c_proj", "blk.{i}.attn_output", None, ("hidden", "heads")),
        Weight(f"{GPT_LAYER}.mlp.gate_up_proj", "blk.{i}.ffn_gate", first_half, ("unknown", "hidden")),
        Weight(f"{GPT_LAYER}.mlp.gate_up_proj", "blk.{i}.ffn_up", second_half, ("unknown", "hidden")),
        Weight(f"{GPT_LAYER}.mlp.c_proj", "blk.{i}.ffn_down", None, ("hidden", "unknown")),
        HEAD,
        GPT_EMBEDDING,
    ),
)
