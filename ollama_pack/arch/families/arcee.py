"""Arcee: a decoder with Llama's row order of q and k, and a feed-forward block without a gate."""

from ollama_pack.arch.blocks import EMBEDDING, HEAD, LAYER, attention, mlp
from ollama_pack.arch.permutations import rope_k, rope_q
from ollama_pack.arch.spec import Arch

ARCEE = Arch(
    name="arcee",
    hf_classes=("ArceeForCausalLM",),
    weights=(*attention(rope_q, rope_k), *mlp(f"{LAYER}.mlp"), HEAD, EMBEDDING),
)
