"""The text part of Qwen's models that see: as Qwen2 and Qwen3; LoRA on what sees is refused."""

from ollama_pack.archs.layouts import gated_decoder
from ollama_pack.archs.row import Arch

QWEN2VL = Arch(
    name="qwen2vl",
    classes=("Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"),
    weights=gated_decoder(),
)
QWEN3VL = Arch(name="qwen3vl", classes=("Qwen3VLForConditionalGeneration",), weights=gated_decoder())
