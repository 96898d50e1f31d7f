"""Cohere's Command R and R7B: no row order is needed, and the head is tied to the embedding."""

from ollama_pack.arch.blocks import gated_decoder
from ollama_pack.arch.spec import Arch

COMMAND_R = Arch(name="command-r", hf_classes=("CohereForCausalLM",), weights=gated_decoder(), tied=True)
COHERE2 = Arch(name="cohere2", hf_classes=("Cohere2ForCausalLM",), weights=gated_decoder(), tied=True)
