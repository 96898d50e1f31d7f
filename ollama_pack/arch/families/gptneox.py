"""GPT-NeoX and Pythia: a fused weight with q, k and v grouped by head, which llama.cpp groups by kind."""

from ollama_pack.arch.blocks import HEAD, embedding, fused_attention, head, mlp
from ollama_pack.arch.permutations import grouped_qkv
from ollama_pack.arch.spec import Arch

_LAYER = "gpt_neox.layers.{i}"
GPTNEOX = Arch(
    name="gptneox",
    hf_classes=("GPTNeoXForCausalLM",),
    weights=(
        *fused_attention(f"{_LAYER}.attention", "query_key_value", "dense", grouped_qkv),
        *mlp(f"{_LAYER}.mlp", "dense_h_to_4h", "dense_4h_to_h"),
        HEAD,
        head("embed_out"),
        embedding("gpt_neox.embed_in"),
    ),
)
