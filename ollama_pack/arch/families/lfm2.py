"""LFM2 by Liquid: layers with attention and layers with a short convolution between linear projections."""

from ollama_pack.arch.blocks import (
    EMBEDDING,
    FEED_FORWARD,
    HEAD,
    LAYER,
    attention,
    experts,
    gated_mlp,
    router,
)
from ollama_pack.arch.spec import Arch, Weight

LFM2 = Arch(
    name="lfm2",
    hf_classes=("Lfm2ForCausalLM",),
    tied=True,
    weights=(
        *attention(output="out_proj"),
        Weight(f"{LAYER}.conv.in_proj", "blk.{i}.shortconv.in_proj", None, ("unknown", "hidden")),
        Weight(f"{LAYER}.conv.out_proj", "blk.{i}.shortconv.out_proj", None, ("hidden", "hidden")),
        *gated_mlp(f"{LAYER}.feed_forward", names=("w1", "w3", "w2")),
        HEAD,
        EMBEDDING,
    ),
)
LFM2MOE = Arch(
    name="lfm2moe",
    hf_classes=("Lfm2MoeForCausalLM",),
    tied=True,
    weights=(
        *LFM2.weights,
        router(f"{FEED_FORWARD}.gate"),
        *experts(f"{FEED_FORWARD}.experts", "w1", "w3", "w2"),
    ),
)
