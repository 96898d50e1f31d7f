"""MiniMax M2: routed experts in every layer, without a shared expert."""

from ollama_pack.arch.blocks import moe_decoder

MINIMAX_M2 = moe_decoder("minimax-m2", "MiniMaxM2ForCausalLM", shared="")
