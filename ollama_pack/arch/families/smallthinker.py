"""SmallThinker: routed experts in every layer."""

from ollama_pack.arch.blocks import EMBEDDING, HEAD, SPARSE_MOE, attention, experts, router
from ollama_pack.arch.spec import Arch

SMALLTHINKER = Arch(
    name="smallthinker",
    hf_classes=("SmallThinkerForCausalLM",),
    weights=(
        *attention(),
        router(f"{SPARSE_MOE}.primary_router"),
        *experts(f"{SPARSE_MOE}.experts", "gate", "up", "down"),
        HEAD,
        EMBEDDING,
    ),
)
