"""GPT-2: its weights are Conv1D, stored as in × out, but PEFT stores A and B as for a linear weight."""

from ollama_pack.arch.blocks import GPT_EMBEDDING, GPT_LAYER, HEAD
from ollama_pack.arch.spec import Arch, Weight

GPT2 = Arch(
    name="gpt2",
    hf_classes=("GPT2LMHeadModel",),
    tied=True,
    weights=(
        Weight(f"{GPT_LAYER}.attn.c_attn", "blk.{i}.attn_qkv", None, ("unknown", "hidden")),
        Weight(f"{GPT_LAYER}.attn.c_proj", "blk.{i}.attn_output", None, ("hidden", "hidden")),
        Weight(f"{GPT_LAYER}.mlp.c_fc", "blk.{i}.ffn_up", None, ("feed_forward", "hidden")),
        Weight(f"{GPT_LAYER}.mlp.c_proj", "blk.{i}.ffn_down", None, ("hidden", "feed_forward")),
        HEAD,
        GPT_EMBEDDING,
    ),
)
