"""Qwen2 and Qwen2.5: both sides rotate halves, so no order changes."""

from ollama_pack.archs.layouts import gated_decoder
from ollama_pack.archs.row import Arch

QWEN2 = Arch(name="qwen2", classes=("Qwen2ForCausalLM",), weights=gated_decoder())
