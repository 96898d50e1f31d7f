"""Apertus: a dense decoder with a feed-forward block without a gate. No row order is needed."""

from ollama_pack.arch.blocks import EMBEDDING, HEAD, LAYER, attention, mlp
from ollama_pack.arch.spec import Arch

APERTUS = Arch(
    name="apertus",
    hf_classes=("ApertusForCausalLM",),
    weights=(*attention(), *mlp(f"{LAYER}.mlp"), HEAD, EMBEDDING),
)
