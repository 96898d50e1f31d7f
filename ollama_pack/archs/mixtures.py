"""Mixtures of experts: their attention, and what of their blocks is linear; routed experts are refused."""

from ollama_pack.archs.layouts import EMBEDDING, HEAD, LAYER, attention, gated
from ollama_pack.archs.lfm2 import LFM2
from ollama_pack.archs.orders import rope_k, rope_q
from ollama_pack.archs.row import Arch, Weight

GRANITEMOE = Arch(
    name="granitemoe",
    classes=("GraniteMoeForCausalLM",),
    weights=(*attention(rope_q, rope_k), HEAD, EMBEDDING),
)
LFM2MOE = Arch(name="lfm2moe", classes=("Lfm2MoeForCausalLM",), tied=True, weights=LFM2.weights)
JAMBA = Arch(
    name="jamba",
    classes=("JambaForCausalLM",),
    weights=(
        *attention(),
        *gated(f"{LAYER}.feed_forward"),
        Weight(f"{LAYER}.mamba.in_proj", "blk.{i}.ssm_in", None, ("unknown", "hidden")),
        Weight(f"{LAYER}.mamba.x_proj", "blk.{i}.ssm_x", None, ("unknown", "unknown")),
        Weight(f"{LAYER}.mamba.out_proj", "blk.{i}.ssm_out", None, ("hidden", "unknown")),
        HEAD,
        EMBEDDING,
    ),
)
