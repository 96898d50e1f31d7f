"""dots.llm1: routed experts with a shared expert."""

from ollama_pack.arch.blocks import moe_decoder

DOTS1 = moe_decoder("dots1", "Dots1ForCausalLM")
