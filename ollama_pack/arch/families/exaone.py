"""EXAONE 3 and 4, and EXAONE MoE. No row order is needed."""

from ollama_pack.arch.blocks import (
    GPT_EMBEDDING,
    GPT_LAYER,
    HEAD,
    attention,
    gated_decoder,
    gated_mlp,
    moe_decoder,
)
from ollama_pack.arch.spec import Arch

EXAONE4 = Arch(name="exaone4", hf_classes=("Exaone4ForCausalLM",), weights=gated_decoder())
EXAONE = Arch(
    name="exaone",
    hf_classes=("ExaoneForCausalLM",),
    weights=(
        *attention(module=f"{GPT_LAYER}.attn.attention", output="out_proj"),
        *gated_mlp(f"{GPT_LAYER}.mlp", names=("c_fc_0", "c_fc_1", "c_proj")),
        HEAD,
        GPT_EMBEDDING,
    ),
)
EXAONE_MOE = moe_decoder("exaone-moe", "ExaoneMoeForCausalLM")
