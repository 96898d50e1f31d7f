"""InternLM 2: a fused weight with q, k and v grouped by key-value head, which llama.cpp splits."""

from ollama_pack.arch.blocks import LAYER, embedding, gated_mlp, head, split_attention
from ollama_pack.arch.permutations import GROUPED
from ollama_pack.arch.spec import Arch

INTERNLM2 = Arch(
    name="internlm2",
    hf_classes=("InternLM2ForCausalLM",),
    weights=(
        *split_attention(f"{LAYER}.attention.wqkv", f"{LAYER}.attention.wo", GROUPED),
        *gated_mlp(f"{LAYER}.feed_forward", names=("w1", "w3", "w2")),
        head("output"),
        embedding("model.tok_embeddings"),
    ),
)
