"""gpt-oss: the rows of gate and up alternate, and the experts are stored as in × out."""

from ollama_pack.arch.blocks import EMBEDDING, HEAD, LAYER, attention, fused_experts, router
from ollama_pack.arch.permutations import even_rows, odd_rows
from ollama_pack.arch.spec import Arch, Kind

GPT_OSS = Arch(
    name="gpt-oss",
    hf_classes=("GptOssForCausalLM",),
    weights=(
        *attention(),
        router(f"{LAYER}.mlp.router"),
        *fused_experts(f"{LAYER}.mlp.experts", Kind.EXPERTS_IN_OUT, even_rows, odd_rows),
        HEAD,
        EMBEDDING,
    ),
)
