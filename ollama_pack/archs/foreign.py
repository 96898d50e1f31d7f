"""Dense architectures whose classes come with their models, not with transformers."""

from dataclasses import replace

from ollama_pack.archs.layouts import (
    EMBEDDING,
    HEAD,
    LAYER,
    attention,
    embedding,
    fused_attention,
    gated,
    gated_decoder,
    head,
    parted_attention,
    plain,
)
from ollama_pack.archs.orders import (
    GROUPED,
    PACKED,
    by_key_head,
    first_half,
    rope_k,
    rope_q,
    second_half,
)
from ollama_pack.archs.row import Arch, Weight

_BLOCK = "transformer.h.{i}"
_EMBEDDING = embedding("transformer.wte")

MINICPM = Arch(name="minicpm", classes=("MiniCPMForCausalLM",), weights=gated_decoder(rope_q, rope_k))
ORION = Arch(name="orion", classes=("OrionForCausalLM",), weights=gated_decoder())
EXAONE = Arch(
    name="exaone",
    classes=("ExaoneForCausalLM",),
    weights=(
        *attention(module=f"{_BLOCK}.attn.attention", output="out_proj"),
        *gated(f"{_BLOCK}.mlp", names=("c_fc_0", "c_fc_1", "c_proj")),
        HEAD,
        _EMBEDDING,
    ),
)
QWEN = Arch(
    name="qwen",
    classes=("QWenLMHeadModel",),
    weights=(
        *fused_attention(f"{_BLOCK}.attn", "c_attn", "c_proj"),
        Weight(f"{_BLOCK}.mlp.w1", "blk.{i}.ffn_up", None, ("unknown", "hidden")),
        Weight(f"{_BLOCK}.mlp.w2", "blk.{i}.ffn_gate", None, ("unknown", "hidden")),
        Weight(f"{_BLOCK}.mlp.c_proj", "blk.{i}.ffn_down", None, ("hidden", "unknown")),
        HEAD,
        _EMBEDDING,
    ),
)
MPT = Arch(
    name="mpt",
    classes=("MPTForCausalLM",),
    tied=True,
    weights=(
        *fused_attention("transformer.blocks.{i}.attn", "Wqkv", "out_proj"),
        *plain("transformer.blocks.{i}.ffn"),
        HEAD,
        _EMBEDDING,
    ),
)
XVERSE = Arch(name="xverse", classes=("XverseForCausalLM",), weights=gated_decoder(rope_q, rope_k))
_ATTENTION = f"{LAYER}.self_attn"
DECI = Arch(
    name="deci",
    classes=("DeciLMForCausalLM",),
    weights=(
        *gated_decoder(rope_q, rope_k),
        # What some layers have in the place of attention.
        Weight(f"{_ATTENTION}.linear_attn", "blk.{i}.attn_output", None, ("hidden", "heads")),
    ),
)
BAICHUAN = Arch(
    name="baichuan",
    classes=("BaichuanForCausalLM", "BaiChuanForCausalLM"),
    weights=(
        *parted_attention(f"{_ATTENTION}.W_pack", f"{_ATTENTION}.o_proj", PACKED),
        *gated(f"{LAYER}.mlp"),
        HEAD,
        EMBEDDING,
    ),
)
INTERNLM2 = Arch(
    name="internlm2",
    classes=("InternLM2ForCausalLM",),
    weights=(
        *parted_attention(f"{LAYER}.attention.wqkv", f"{LAYER}.attention.wo", GROUPED),
        *gated(f"{LAYER}.feed_forward", names=("w1", "w3", "w2")),
        head("output"),
        embedding("model.tok_embeddings"),
    ),
)
_INNER = "model.layers.layers.{i}"
PLAMO = Arch(
    name="plamo",
    classes=("PlamoForCausalLM",),
    weights=(
        *(
            replace(weight, columns=by_key_head) if weight.module.endswith("o_proj") else weight
            for weight in attention(by_key_head, None, f"{_INNER}.self_attn")
        ),
        *gated(f"{_INNER}.mlp"),
        HEAD,
        EMBEDDING,
    ),
)
_OPEN = "transformer.layers.{i}"
OPENELM = Arch(
    name="openelm",
    classes=("OpenELMForCausalLM",),
    tied=True,
    weights=(
        *fused_attention(f"{_OPEN}.attn", "qkv_proj", "out_proj"),
        Weight(f"{_OPEN}.ffn.proj_1", "blk.{i}.ffn_gate", first_half, ("unknown", "hidden")),
        Weight(f"{_OPEN}.ffn.proj_1", "blk.{i}.ffn_up", second_half, ("unknown", "hidden")),
        Weight(f"{_OPEN}.ffn.proj_2", "blk.{i}.ffn_down", None, ("hidden", "unknown")),
        embedding("transformer.token_embeddings"),
    ),
)
CODESHELL = Arch(
    name="codeshell",
    classes=("CodeShellForCausalLM",),
    weights=(
        *fused_attention(f"{_BLOCK}.attn", "c_attn", "c_proj"),
        *plain(f"{_BLOCK}.mlp", "c_fc", "c_proj"),
        HEAD,
        _EMBEDDING,
    ),
)
REFACT = Arch(
    name="refact",
    classes=("GPTRefactForCausalLM",),
    weights=(
        Weight(f"{_BLOCK}.attn.q", "blk.{i}.attn_q", None, ("heads", "hidden")),
        Weight(f"{_BLOCK}.attn.kv", "blk.{i}.attn_k", first_half, ("kv_heads", "hidden")),
        Weight(f"{_BLOCK}.attn.kv", "blk.{i}.attn_v", second_half, ("kv_heads", "hidden")),
        Weight(f"{_BLOCK}.attn.c_proj", "blk.{i}.attn_output", None, ("hidden", "heads")),
        Weight(f"{_BLOCK}.mlp.gate_up_proj", "blk.{i}.ffn_gate", first_half, ("unknown", "hidden")),
        Weight(f"{_BLOCK}.mlp.gate_up_proj", "blk.{i}.ffn_up", second_half, ("unknown", "hidden")),
        Weight(f"{_BLOCK}.mlp.c_proj", "blk.{i}.ffn_down", None, ("hidden", "unknown")),
        HEAD,
        _EMBEDDING,
    ),
)
_MULTIPLIED = "altered-by-converter"
JAIS = Arch(
    name="jais",
    classes=("JAISLMHeadModel",),
    weights=(
        Weight(f"{_BLOCK}.attn.c_attn", "blk.{i}.attn_qkv", None, ("unknown", "hidden")),
        Weight(f"{_BLOCK}.attn.c_proj", "blk.{i}.attn_output", None, ("hidden", "hidden")),
        Weight(f"{_BLOCK}.mlp.c_fc", "blk.{i}.ffn_up", None, ("unknown", "hidden")),
        Weight(f"{_BLOCK}.mlp.c_fc2", "blk.{i}.ffn_gate", None, ("unknown", "hidden")),
        Weight(f"{_BLOCK}.mlp.c_proj", "blk.{i}.ffn_down", None, ("hidden", "unknown")),
        replace(HEAD, refused=_MULTIPLIED),
        replace(_EMBEDDING, refused=_MULTIPLIED),
    ),
)
