"""Mixtures of experts whose classes come with their models, not with transformers."""

from dataclasses import replace

from ollama_pack.archs.layouts import (
    EMBEDDING,
    HEAD,
    LAYER,
    attention,
    embedding,
    experts,
    fused_attention,
    gated,
    mixture,
    parted_attention,
    router,
)
from ollama_pack.archs.orders import PACKED, rope_k, rope_q
from ollama_pack.archs.row import Arch

_SPARSE = f"{LAYER}.block_sparse_moe"
_QKV, _DENSE = f"{LAYER}.attention.query_key_value", f"{LAYER}.attention.dense"
_WORDS = embedding("model.word_embeddings")

DEEPSEEK = Arch(
    name="deepseek",
    classes=("DeepseekForCausalLM",),
    weights=(*attention(rope_q, rope_k), *mixture(shared="shared_experts"), HEAD, EMBEDDING),
)
# Its converter may divide each column of the head by its norm, which no ΔW follows: the head is not here.
BAILINGMOE = Arch(
    name="bailingmoe",
    classes=("BailingMoeForCausalLM",),
    weights=(
        *parted_attention(_QKV, _DENSE, PACKED),
        *mixture(shared="shared_experts", block=False),
        replace(HEAD, refused="altered-by-converter"),
        _WORDS,
    ),
)
BAILINGMOE2 = Arch(
    name="bailingmoe2",
    classes=("BailingMoeV2ForCausalLM",),
    weights=(
        *fused_attention(f"{LAYER}.attention", "query_key_value", "dense"),
        *mixture(shared="shared_experts"),
        HEAD,
        _WORDS,
    ),
)
ARCTIC = Arch(
    name="arctic",
    classes=("ArcticForCausalLM",),
    weights=(
        *attention(rope_q, rope_k),
        router(f"{_SPARSE}.gate"),
        *experts(f"{_SPARSE}.experts", "w1", "w3", "w2"),
        *gated(f"{LAYER}.residual_mlp", "", "unknown", ("w1", "w3", "w2")),
        HEAD,
        EMBEDDING,
    ),
)
SMALLTHINKER = Arch(
    name="smallthinker",
    classes=("SmallThinkerForCausalLM",),
    weights=(
        *attention(),
        router(f"{_SPARSE}.primary_router"),
        *experts(f"{_SPARSE}.experts", "gate", "up", "down"),
        HEAD,
        EMBEDDING,
    ),
)
_BLOCK = "transformer.blocks.{i}"
# Its experts are one matrix, cut into rows; PEFT cannot train them.
DBRX = Arch(
    name="dbrx",
    classes=("DbrxForCausalLM",),
    weights=(
        *fused_attention(f"{_BLOCK}.norm_attn_norm.attn", "Wqkv", "out_proj"),
        router(f"{_BLOCK}.ffn.router.layer"),
        HEAD,
        embedding("transformer.wte"),
    ),
)
