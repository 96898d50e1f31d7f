"""Decoders that rotate neighbours as Llama does, under names of their own."""

from ollama_pack.archs.layouts import EMBEDDING, HEAD, LAYER, attention, gated_decoder, plain
from ollama_pack.archs.orders import rope_k, rope_q
from ollama_pack.archs.row import Arch

SMOLLM3 = Arch(
    name="smollm3", classes=("SmolLM3ForCausalLM",), weights=gated_decoder(rope_q, rope_k), tied=True
)
MISTRAL3 = Arch(
    name="mistral3",
    classes=("Mistral3ForConditionalGeneration", "Ministral3ForCausalLM"),
    weights=gated_decoder(rope_q, rope_k),
)
ARCEE = Arch(
    name="arcee",
    classes=("ArceeForCausalLM",),
    weights=(*attention(rope_q, rope_k), *plain(f"{LAYER}.mlp"), HEAD, EMBEDDING),
)
