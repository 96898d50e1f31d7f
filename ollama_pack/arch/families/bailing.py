"""Ling (Bailing) 1 and 2: routed experts with a shared expert."""

from ollama_pack.arch.blocks import HEAD, LAYER, embedding, fused_attention, moe, split_attention
from ollama_pack.arch.permutations import PACKED
from ollama_pack.arch.spec import Arch

_BAILING_QKV, _BAILING_OUTPUT = f"{LAYER}.attention.query_key_value", f"{LAYER}.attention.dense"
_BAILING_EMBEDDING = embedding("model.word_embeddings")

# The converter may divide each column of the head by its norm. A ΔW cannot follow that, so LoRA on the head
# is unsupported.
BAILINGMOE = Arch(
    name="bailingmoe",
    hf_classes=("BailingMoeForCausalLM",),
    weights=(
        *split_attention(_BAILING_QKV, _BAILING_OUTPUT, PACKED),
        *moe(shared="shared_experts", block=False),
        HEAD._replace(unsupported="altered-by-converter"),
        _BAILING_EMBEDDING,
    ),
)
BAILINGMOE2 = Arch(
    name="bailingmoe2",
    hf_classes=("BailingMoeV2ForCausalLM",),
    weights=(
        *fused_attention(f"{LAYER}.attention", "query_key_value", "dense"),
        *moe(shared="shared_experts"),
        HEAD,
        _BAILING_EMBEDDING,
    ),
)
