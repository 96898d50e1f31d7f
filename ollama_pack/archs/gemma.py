"""Gemma 1, 2 and 3: nothing changes its order; the head is the embeddings."""

from ollama_pack.archs.layouts import gated_decoder
from ollama_pack.archs.row import Arch

GEMMA = Arch(name="gemma", classes=("GemmaForCausalLM",), weights=gated_decoder(), tied=True)
GEMMA2 = Arch(name="gemma2", classes=("Gemma2ForCausalLM",), weights=gated_decoder(), tied=True)
GEMMA3 = Arch(
    name="gemma3",
    classes=("Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"),
    weights=gated_decoder(),
    tied=True,
)
