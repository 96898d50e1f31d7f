"""The Llama family: Llama, Mistral, Mixtral, Vicuna, TinyLlama, SmolLM2 and all others of these classes."""

from ollama_pack.arch.blocks import (
    FEED_FORWARD,
    HEAD_AND_EMBEDDING,
    LAYER,
    attention,
    experts,
    fused_experts,
    gated_decoder,
    gated_mlp,
    router,
)
from ollama_pack.arch.permutations import first_half, rope_k, rope_q, second_half
from ollama_pack.arch.spec import Arch, Kind

LLAMA = Arch(
    name="llama",
    hf_classes=(
        *("LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM"),
        *("InternLM3ForCausalLM", "IQuestCoderForCausalLM"),
    ),
    weights=(
        *gated_decoder(rope_q, rope_k),
        # Mixtral: first the names of transformers 4 and mlx-lm, then those of transformers 5.
        router(f"{LAYER}.block_sparse_moe.gate"),
        *experts(f"{LAYER}.block_sparse_moe.experts", "w1", "w3", "w2"),
        router(f"{LAYER}.mlp.gate"),
        *fused_experts(f"{LAYER}.mlp.experts", Kind.EXPERTS, first_half, second_half),
    ),
)
LLAMA4 = Arch(
    name="llama4",
    hf_classes=("Llama4ForCausalLM", "Llama4ForConditionalGeneration"),
    weights=(
        *attention(),
        *gated_mlp(FEED_FORWARD),
        router(f"{FEED_FORWARD}.router"),
        *gated_mlp(f"{FEED_FORWARD}.shared_expert", "_shexp", "unknown"),
        *fused_experts(f"{FEED_FORWARD}.experts", Kind.EXPERTS_TRANSPOSED, first_half, second_half),
        *HEAD_AND_EMBEDDING,
    ),
)
