"""OLMo 1 to 3 and OLMoE. Only OLMo 1 needs Llama's row order of q and k."""

from ollama_pack.arch.blocks import EMBEDDING, HEAD, attention, gated_decoder, moe
from ollama_pack.arch.permutations import rope_k, rope_q
from ollama_pack.arch.spec import Arch

OLMO = Arch(name="olmo", hf_classes=("OlmoForCausalLM",), weights=gated_decoder(rope_q, rope_k))
OLMO2 = Arch(name="olmo2", hf_classes=("Olmo2ForCausalLM", "Olmo3ForCausalLM"), weights=gated_decoder())
OLMOE = Arch(
    name="olmoe",
    hf_classes=("OlmoeForCausalLM",),
    weights=(
        *attention(),
        *moe(block=False),
        HEAD,
        EMBEDDING,
    ),
)
