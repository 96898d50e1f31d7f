"""Qwen2's mixtures of experts: routed experts, and one that always acts."""

from ollama_pack.archs.layouts import EMBEDDING, HEAD, LAYER, attention, mixture
from ollama_pack.archs.row import Arch, Weight

QWEN2MOE = Arch(
    name="qwen2moe",
    classes=("Qwen2MoeForCausalLM",),
    weights=(
        *attention(),
        *mixture(shared="shared_expert", block=False),
        Weight(f"{LAYER}.mlp.shared_expert_gate", "blk.{i}.ffn_gate_inp_shexp", None, ("unknown", "hidden")),
        HEAD,
        EMBEDDING,
    ),
)
