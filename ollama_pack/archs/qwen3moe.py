"""Qwen3's mixtures of experts: nothing changes its order, gate and up of an expert are stored in one."""

from ollama_pack.archs.layouts import EMBEDDING, HEAD, attention, mixture
from ollama_pack.archs.row import Arch

QWEN3MOE = Arch(
    name="qwen3moe",
    classes=("Qwen3MoeForCausalLM",),
    weights=(
        *attention(),
        *mixture(block=False),
        HEAD,
        EMBEDDING,
    ),
)
