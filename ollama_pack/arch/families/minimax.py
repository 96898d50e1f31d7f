"""MiniMax M2: routed experts in every layer, and no shared expert."""

from ollama_pack.arch.blocks import moe_decoder

MINIMAX_M2 = moe_decoder("minimax-m2", "MiniMaxM2ForCausalLM", shared="")
