"""AFMoE (Arcee Trinity): a gate on the attention output, and routed experts with a shared expert."""

from ollama_pack.arch.blocks import HEAD_AND_EMBEDDING, LAYER, attention, moe
from ollama_pack.arch.spec import Arch, Weight

AFMOE = Arch(
    name="afmoe",
    hf_classes=("AfmoeForCausalLM",),
    weights=(
        *attention(),
        Weight(f"{LAYER}.self_attn.gate_proj", "blk.{i}.attn_gate", None, ("heads", "hidden")),
        *moe(gate="router.gate", shared="shared_experts"),
        *HEAD_AND_EMBEDDING,
    ),
)
