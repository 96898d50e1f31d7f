"""OLMo 1 to 3 and OLMoE: only the first rotates neighbours."""

from ollama_pack.archs.layouts import EMBEDDING, HEAD, attention, gated_decoder, mixture
from ollama_pack.archs.orders import rope_k, rope_q
from ollama_pack.archs.row import Arch

OLMO = Arch(name="olmo", classes=("OlmoForCausalLM",), weights=gated_decoder(rope_q, rope_k))
OLMO2 = Arch(name="olmo2", classes=("Olmo2ForCausalLM", "Olmo3ForCausalLM"), weights=gated_decoder())
OLMOE = Arch(
    name="olmoe",
    classes=("OlmoeForCausalLM",),
    weights=(
        *attention(),
        *mixture(block=False),
        HEAD,
        EMBEDDING,
    ),
)
