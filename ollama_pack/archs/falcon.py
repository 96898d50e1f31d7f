"""Falcon and Bloom: q, k and v of each group of heads together, which llama.cpp wants apart."""

from ollama_pack.archs.layouts import HEAD, embedding, fused_attention, plain
from ollama_pack.archs.orders import grouped_qkv
from ollama_pack.archs.row import Arch

_BLOCK = "transformer.h.{i}"
_WEIGHTS = (
    *fused_attention(f"{_BLOCK}.self_attention", "query_key_value", "dense", grouped_qkv),
    *plain(f"{_BLOCK}.mlp", "dense_h_to_4h", "dense_4h_to_h"),
    HEAD,
    embedding("transformer.word_embeddings"),
)

FALCON = Arch(name="falcon", classes=("FalconForCausalLM", "RWForCausalLM"), tied=True, weights=_WEIGHTS)
BLOOM = Arch(name="bloom", classes=("BloomForCausalLM",), tied=True, weights=_WEIGHTS)
