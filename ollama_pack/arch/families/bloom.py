"""BLOOM: the same modules, tensors and row orders as Falcon."""

from ollama_pack.arch.families.falcon import FALCON_WEIGHTS
from ollama_pack.arch.spec import Arch

BLOOM = Arch(name="bloom", hf_classes=("BloomForCausalLM",), tied=True, weights=FALCON_WEIGHTS)
