"""MiniCPM 1 and 3. MiniCPM 3 has the latent attention (MLA) of DeepSeek V2."""

from ollama_pack.arch.blocks import EMBEDDING, HEAD, LAYER, gated_decoder, gated_mlp
from ollama_pack.arch.families.deepseek import MLA_ATTENTION
from ollama_pack.arch.permutations import rope_k, rope_q
from ollama_pack.arch.spec import Arch

MINICPM = Arch(name="minicpm", hf_classes=("MiniCPMForCausalLM",), weights=gated_decoder(rope_q, rope_k))
MINICPM3 = Arch(
    name="minicpm3",
    hf_classes=("MiniCPM3ForCausalLM",),
    weights=(*MLA_ATTENTION, *gated_mlp(f"{LAYER}.mlp"), HEAD, EMBEDDING),
)
