"""Mamba 1 and 2: models with only Mamba layers."""

from ollama_pack.arch.blocks import HEAD, MAMBA_MIXER, embedding, mamba2_mixer, mamba_dt_proj
from ollama_pack.arch.spec import Arch, Weight

MAMBA = Arch(
    name="mamba",
    hf_classes=("MambaForCausalLM", "FalconMambaForCausalLM"),
    tied=True,
    weights=(
        Weight(f"{MAMBA_MIXER}.in_proj", "blk.{i}.ssm_in", None, ("unknown", "hidden")),
        Weight(f"{MAMBA_MIXER}.x_proj", "blk.{i}.ssm_x", None, ("unknown", "ssm_inner")),
        Weight(f"{MAMBA_MIXER}.out_proj", "blk.{i}.ssm_out", None, ("hidden", "ssm_inner")),
        mamba_dt_proj(MAMBA_MIXER),
        HEAD,
        embedding("backbone.embeddings"),
    ),
)
MAMBA2 = Arch(
    name="mamba2",
    hf_classes=("Mamba2ForCausalLM",),
    weights=(*mamba2_mixer(MAMBA_MIXER), HEAD, embedding("backbone.embeddings")),
)
