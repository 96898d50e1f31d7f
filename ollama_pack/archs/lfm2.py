"""Liquid's LFM2: attention in some layers, short convolutions in the others; their projections are linear."""

from ollama_pack.archs.layouts import EMBEDDING, HEAD, LAYER, attention, gated
from ollama_pack.archs.row import Arch, Weight

LFM2 = Arch(
    name="lfm2",
    classes=("Lfm2ForCausalLM",),
    tied=True,
    weights=(
        *attention(output="out_proj"),
        Weight(f"{LAYER}.conv.in_proj", "blk.{i}.shortconv.in_proj", None, ("unknown", "hidden")),
        Weight(f"{LAYER}.conv.out_proj", "blk.{i}.shortconv.out_proj", None, ("hidden", "hidden")),
        *gated(f"{LAYER}.feed_forward", names=("w1", "w3", "w2")),
        HEAD,
        EMBEDDING,
    ),
)
