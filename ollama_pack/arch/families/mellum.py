"""Mellum: routed experts in every layer, and no shared expert."""

from ollama_pack.arch.blocks import moe_decoder

MELLUM = moe_decoder("mellum", "MellumForCausalLM", shared="")
