"""Apertus: a dense decoder without a gate that needs no row order."""

from ollama_pack.arch.blocks import EMBEDDING, HEAD, LAYER, attention, mlp
from ollama_pack.arch.spec import Arch

APERTUS = Arch(
    name="apertus",
    hf_classes=("ApertusForCausalLM",),
    weights=(*attention(), *mlp(f"{LAYER}.mlp"), HEAD, EMBEDDING),
)
