"""Seed-OSS: a dense decoder that needs no row order."""

from ollama_pack.arch.blocks import gated_decoder
from ollama_pack.arch.spec import Arch

SEED_OSS = Arch(name="seed_oss", hf_classes=("SeedOssForCausalLM",), weights=gated_decoder())
