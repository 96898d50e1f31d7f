"""Jais 1 and 2. Jais 1 has a fused q, k and v, and its converter scales the head and the embedding."""

from ollama_pack.arch.blocks import EMBEDDING, GPT_EMBEDDING, GPT_LAYER, HEAD, LAYER, attention, mlp
from ollama_pack.arch.spec import Arch, Weight

JAIS2 = Arch(
    name="jais2",
    hf_classes=("Jais2ForCausalLM",),
    weights=(*attention(), *mlp(f"{LAYER}.mlp"), HEAD, EMBEDDING),
)
_SCALED_BY_CONVERTER = "altered-by-converter"
JAIS = Arch(
    name="jais",
    hf_classes=("JAISLMHeadModel",),
    weights=(
        Weight(f"{GPT_LAYER}.attn.c_attn", "blk.{i}.attn_qkv", None, ("unknown", "hidden")),
        Weight(f"{GPT_LAYER}.attn.c_proj", "blk.{i}.attn_output", None, ("hidden", "hidden")),
        Weight(f"{GPT_LAYER}.mlp.c_fc", "blk.{i}.ffn_up", None, ("unknown", "hidden")),
        Weight(f"{GPT_LAYER}.mlp.c_fc2", "blk.{i}.ffn_gate", None, ("unknown", "hidden")),
        Weight(f"{GPT_LAYER}.mlp.c_proj", "blk.{i}.ffn_down", None, ("hidden", "unknown")),
        HEAD._replace(unsupported=_SCALED_BY_CONVERTER),
        GPT_EMBEDDING._replace(unsupported=_SCALED_BY_CONVERTER),
    ),
)
