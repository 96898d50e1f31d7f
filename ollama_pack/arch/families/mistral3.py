"""Mistral 3 and Ministral 3: dense decoders with Llama's row order of q and k."""

from ollama_pack.arch.blocks import gated_decoder
from ollama_pack.arch.permutations import rope_k, rope_q
from ollama_pack.arch.spec import Arch

MISTRAL3 = Arch(
    name="mistral3",
    hf_classes=("Mistral3ForConditionalGeneration", "Ministral3ForCausalLM"),
    weights=gated_decoder(rope_q, rope_k),
)
