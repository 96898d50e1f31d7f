"""Mellum: routed experts in every layer, without a shared expert."""

from ollama_pack.arch.blocks import moe_decoder

MELLUM = moe_decoder("mellum", "MellumForCausalLM", shared="")
