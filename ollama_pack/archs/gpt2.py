"""GPT-2: its weights are Conv1D, stored in × out, but PEFT keeps A and B as for any linear weight."""

from ollama_pack.archs.layouts import HEAD, embedding
from ollama_pack.archs.row import Arch, Weight

_BLOCK = "transformer.h.{i}"

GPT2 = Arch(
    name="gpt2",
    classes=("GPT2LMHeadModel",),
    tied=True,
    weights=(
        Weight(f"{_BLOCK}.attn.c_attn", "blk.{i}.attn_qkv", None, ("unknown", "hidden")),
        Weight(f"{_BLOCK}.attn.c_proj", "blk.{i}.attn_output", None, ("hidden", "hidden")),
        Weight(f"{_BLOCK}.mlp.c_fc", "blk.{i}.ffn_up", None, ("feed_forward", "hidden")),
        Weight(f"{_BLOCK}.mlp.c_proj", "blk.{i}.ffn_down", None, ("hidden", "feed_forward")),
        HEAD,
        embedding("transformer.wte"),
    ),
)
