"""Snowflake Arctic: routed experts and a dense feed-forward block side by side in every layer."""

from ollama_pack.arch.blocks import EMBEDDING, HEAD, LAYER, SPARSE_MOE, attention, experts, gated_mlp, router
from ollama_pack.arch.permutations import rope_k, rope_q
from ollama_pack.arch.spec import Arch

ARCTIC = Arch(
    name="arctic",
    hf_classes=("ArcticForCausalLM",),
    weights=(
        *attention(rope_q, rope_k),
        router(f"{SPARSE_MOE}.gate"),
        *experts(f"{SPARSE_MOE}.experts", "w1", "w3", "w2"),
        *gated_mlp(f"{LAYER}.residual_mlp", "", "unknown", ("w1", "w3", "w2")),
        HEAD,
        EMBEDDING,
    ),
)
