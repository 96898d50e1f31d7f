"""Orion: a dense decoder that needs no row order."""

from ollama_pack.arch.blocks import gated_decoder
from ollama_pack.arch.spec import Arch

ORION = Arch(name="orion", hf_classes=("OrionForCausalLM",), weights=gated_decoder())
