"""Decoders that are a Llama but for their names and norms: both sides rotate halves, no order changes."""

from ollama_pack.archs.layouts import EMBEDDING, HEAD, LAYER, attention, gated_decoder, plain
from ollama_pack.archs.row import Arch

STABLELM = Arch(name="stablelm", classes=("StableLmForCausalLM",), weights=gated_decoder())
EXAONE4 = Arch(name="exaone4", classes=("Exaone4ForCausalLM",), weights=gated_decoder())
SEED_OSS = Arch(name="seed_oss", classes=("SeedOssForCausalLM",), weights=gated_decoder())
HUNYUAN = Arch(name="hunyuan-dense", classes=("HunYuanDenseV1ForCausalLM",), weights=gated_decoder())
ERNIE4_5 = Arch(name="ernie4_5", classes=("Ernie4_5ForCausalLM",), weights=gated_decoder(), tied=True)
NEMOTRON = Arch(
    name="nemotron",
    classes=("NemotronForCausalLM",),
    weights=(*attention(), *plain(f"{LAYER}.mlp"), HEAD, EMBEDDING),
)
APERTUS = Arch(
    name="apertus",
    classes=("ApertusForCausalLM",),
    weights=(*attention(), *plain(f"{LAYER}.mlp"), HEAD, EMBEDDING),
)
JAIS2 = Arch(
    name="jais2",
    classes=("Jais2ForCausalLM",),
    weights=(*attention(), *plain(f"{LAYER}.mlp"), HEAD, EMBEDDING),
)
