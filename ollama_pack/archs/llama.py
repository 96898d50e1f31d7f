"""The Llama family: Llama, Mistral, Mixtral, Vicuna, TinyLlama, SmolLM2 and all else that is a Llama."""

from ollama_pack.archs.layouts import LAYER, experts, fused_experts, gated_decoder, router
from ollama_pack.archs.orders import first_half, rope_k, rope_q, second_half
from ollama_pack.archs.row import Arch, Kind

LLAMA = Arch(
    name="llama",
    classes=(
        *("LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM"),
        *("InternLM3ForCausalLM", "IQuestCoderForCausalLM"),
    ),
    weights=(
        *gated_decoder(rope_q, rope_k),
        # Mixtral, as transformers 4 and mlx-lm name it, and as transformers 5 does.
        router(f"{LAYER}.block_sparse_moe.gate"),
        *experts(f"{LAYER}.block_sparse_moe.experts", "w1", "w3", "w2"),
        router(f"{LAYER}.mlp.gate"),
        *fused_experts(f"{LAYER}.mlp.experts", Kind.EXPERTS, first_half, second_half),
    ),
)
