"""ERNIE 4.5: the dense models and the mixtures of experts."""

from ollama_pack.arch.blocks import gated_decoder, moe_decoder
from ollama_pack.arch.spec import Arch

ERNIE4_5 = Arch(name="ernie4_5", hf_classes=("Ernie4_5ForCausalLM",), weights=gated_decoder(), tied=True)
ERNIE4_5_MOE = moe_decoder("ernie4_5-moe", "Ernie4_5_MoeForCausalLM", tied=True)
