"""Jamba: Mamba layers and attention layers with routed experts."""

from ollama_pack.arch.blocks import FEED_FORWARD, HEAD_AND_EMBEDDING, LAYER, attention, mamba_dt_proj, moe
from ollama_pack.arch.spec import Arch, Weight

JAMBA = Arch(
    name="jamba",
    hf_classes=("JambaForCausalLM",),
    weights=(
        *attention(),
        *moe(FEED_FORWARD, gate="router"),
        Weight(f"{LAYER}.mamba.in_proj", "blk.{i}.ssm_in", None, ("unknown", "hidden")),
        Weight(f"{LAYER}.mamba.x_proj", "blk.{i}.ssm_x", None, ("unknown", "unknown")),
        Weight(f"{LAYER}.mamba.out_proj", "blk.{i}.ssm_out", None, ("hidden", "unknown")),
        mamba_dt_proj(f"{LAYER}.mamba"),
        *HEAD_AND_EMBEDDING,
    ),
)
