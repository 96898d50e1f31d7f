"""StableLM: a dense decoder that needs no row order."""

from ollama_pack.arch.blocks import gated_decoder
from ollama_pack.arch.spec import Arch

STABLELM = Arch(name="stablelm", hf_classes=("StableLmForCausalLM",), weights=gated_decoder())
