"""XVERSE: a dense decoder with Llama's row order of q and k."""

from ollama_pack.arch.blocks import gated_decoder
from ollama_pack.arch.permutations import rope_k, rope_q
from ollama_pack.arch.spec import Arch

XVERSE = Arch(name="xverse", hf_classes=("XverseForCausalLM",), weights=gated_decoder(rope_q, rope_k))
