"""Mixtures of experts of one kind: routed experts, beside them often a block that always acts."""

from ollama_pack.archs.granite import HYBRID
from ollama_pack.archs.layouts import (
    EMBEDDING,
    HEAD,
    LAYER,
    attention,
    experts,
    fused_experts,
    gated,
    granite_experts,
    granite_shared,
    mixture,
    router,
    steps,
)
from ollama_pack.archs.lfm2 import LFM2
from ollama_pack.archs.orders import first_half, rope_k, rope_q, second_half
from ollama_pack.archs.row import Arch, Kind, Weight

_SPARSE = f"{LAYER}.block_sparse_moe"
_FORWARD = f"{LAYER}.feed_forward"
_ENDS = (HEAD, EMBEDDING)


def _usual(name: str, *classes: str, shared: str = "shared_experts", tied: bool = False) -> Arch:
    """Return a row with the usual attention and the usual mixture, in all layers where nothing is shared."""
    return Arch(name, classes, (*attention(), *mixture(shared=shared, block=bool(shared)), *_ENDS), tied)


QWEN3VLMOE = _usual("qwen3vlmoe", "Qwen3VLMoeForConditionalGeneration", shared="")
MELLUM = _usual("mellum", "MellumForCausalLM", shared="")
HY_V3 = _usual("hy_v3", "HYV3ForCausalLM")
DOTS1 = _usual("dots1", "Dots1ForCausalLM")
EXAONE_MOE = _usual("exaone-moe", "ExaoneMoeForCausalLM")
ERNIE4_5_MOE = _usual("ernie4_5-moe", "Ernie4_5_MoeForCausalLM", tied=True)
MINIMAX_M2 = _usual("minimax-m2", "MiniMaxM2ForCausalLM", shared="")
HUNYUAN_MOE = Arch(
    name="hunyuan-moe",
    classes=("HunYuanMoEV1ForCausalLM",),
    weights=(*attention(), *mixture(gate="gate.wg", shared="shared_mlp", block=False), *_ENDS),
)
AFMOE = Arch(
    name="afmoe",
    classes=("AfmoeForCausalLM",),
    weights=(
        *attention(),
        Weight(f"{LAYER}.self_attn.gate_proj", "blk.{i}.attn_gate", None, ("heads", "hidden")),
        *mixture(gate="router.gate", shared="shared_experts"),
        *_ENDS,
    ),
)
LLAMA4 = Arch(
    name="llama4",
    classes=("Llama4ForCausalLM", "Llama4ForConditionalGeneration"),
    weights=(
        *attention(),
        *gated(_FORWARD),
        router(f"{_FORWARD}.router"),
        *gated(f"{_FORWARD}.shared_expert", "_shexp", "unknown"),
        *fused_experts(f"{_FORWARD}.experts", Kind.EXPERTS_TURNED, first_half, second_half),
        *_ENDS,
    ),
)
GRANITEMOE = Arch(
    name="granitemoe",
    classes=("GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM", HYBRID),
    weights=(
        *attention(rope_q, rope_k),
        *granite_experts(_SPARSE),
        *granite_shared(f"{LAYER}.shared_mlp"),
        *_ENDS,
    ),
)
LFM2MOE = Arch(
    name="lfm2moe",
    classes=("Lfm2MoeForCausalLM",),
    tied=True,
    weights=(
        *LFM2.weights,
        router(f"{_FORWARD}.gate"),
        *experts(f"{_FORWARD}.experts", "w1", "w3", "w2"),
    ),
)
JAMBA = Arch(
    name="jamba",
    classes=("JambaForCausalLM",),
    weights=(
        *attention(),
        *mixture(_FORWARD, gate="router"),
        Weight(f"{LAYER}.mamba.in_proj", "blk.{i}.ssm_in", None, ("unknown", "hidden")),
        Weight(f"{LAYER}.mamba.x_proj", "blk.{i}.ssm_x", None, ("unknown", "unknown")),
        Weight(f"{LAYER}.mamba.out_proj", "blk.{i}.ssm_out", None, ("hidden", "unknown")),
        steps(f"{LAYER}.mamba"),
        *_ENDS,
    ),
)
PHIMOE = Arch(
    name="phimoe",
    classes=("PhiMoEForCausalLM", "PhimoeForCausalLM"),
    weights=(
        *attention(),
        *(router(f"{_SPARSE}.gate"), router(f"{LAYER}.mlp.router")),
        *experts(f"{_SPARSE}.experts", "w1", "w3", "w2"),
        *fused_experts(f"{LAYER}.mlp.experts", Kind.EXPERTS, first_half, second_half),
        *_ENDS,
    ),
)
