"""Liquid's LFM2: attention in some layers, short convolutions in the others; their projections are linear."""

from ollama_pack.archs.layouts import EMBEDDING, HEAD, LAYER, attention
from ollama_pack.archs.row import Arch, Weight

LFM2 = Arch(
    name="lfm2",
    classes=("Lfm2ForCausalLM",),
    tied=True,
    weights=(
        *attention()[:3],
        Weight(f"{LAYER}.self_attn.out_proj", "blk.{i}.attn_output", None, ("hidden", "heads")),
        Weight(f"{LAYER}.conv.in_proj", "blk.{i}.shortconv.in_proj", None, ("unknown", "hidden")),
        Weight(f"{LAYER}.conv.out_proj", "blk.{i}.shortconv.out_proj", None, ("hidden", "hidden")),
        Weight(f"{LAYER}.feed_forward.w1", "blk.{i}.ffn_gate", None, ("feed_forward", "hidden")),
        Weight(f"{LAYER}.feed_forward.w3", "blk.{i}.ffn_up", None, ("feed_forward", "hidden")),
        Weight(f"{LAYER}.feed_forward.w2", "blk.{i}.ffn_down", None, ("hidden", "feed_forward")),
        HEAD,
        EMBEDDING,
    ),
)
