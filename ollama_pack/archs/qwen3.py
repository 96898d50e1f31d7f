"""Qwen3: as Qwen2, with norms on queries and keys."""

from ollama_pack.archs.layouts import gated_decoder
from ollama_pack.archs.row import Arch

QWEN3 = Arch(name="qwen3", classes=("Qwen3ForCausalLM",), weights=gated_decoder())
