"""GLM-4: gate and up are one on both sides."""

from ollama_pack.archs.layouts import EMBEDDING, HEAD, LAYER, attention, fused_gate
from ollama_pack.archs.row import Arch

GLM4 = Arch(
    name="glm4",
    classes=("Glm4ForCausalLM",),
    weights=(*attention(), *fused_gate(f"{LAYER}.mlp"), HEAD, EMBEDDING),
)
