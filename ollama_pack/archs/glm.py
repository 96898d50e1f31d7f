"""GLM-4, 9B and later: gate and up are one on both sides; GLM-4.5's mixtures of experts have them apart."""

from ollama_pack.archs.layouts import EMBEDDING, HEAD, LAYER, attention, experts, fused_gate, gated, router
from ollama_pack.archs.row import Arch

GLM4 = Arch(
    name="glm4",
    classes=("Glm4ForCausalLM",),
    weights=(*attention(), *fused_gate(f"{LAYER}.mlp"), HEAD, EMBEDDING),
)
CHATGLM = Arch(name="chatglm", classes=("GlmForCausalLM",), weights=GLM4.weights)
GLM4MOE = Arch(
    name="glm4moe",
    classes=("Glm4MoeForCausalLM",),
    weights=(
        *attention(),
        *gated(f"{LAYER}.mlp"),
        router(f"{LAYER}.mlp.gate"),
        *experts(f"{LAYER}.mlp.experts"),
        *gated(f"{LAYER}.mlp.shared_experts", "_shexp", "unknown"),
        HEAD,
        EMBEDDING,
    ),
)
