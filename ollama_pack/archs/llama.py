"""The Llama family: Llama, Mistral, Vicuna, TinyLlama, SmolLM2 and everything else that is a Llama."""

from ollama_pack.archs.layouts import gated_decoder
from ollama_pack.archs.orders import rope_k, rope_q
from ollama_pack.archs.row import Arch

LLAMA = Arch(
    name="llama",
    classes=("LlamaForCausalLM", "MistralForCausalLM"),
    weights=gated_decoder(rope_q, rope_k),
)
