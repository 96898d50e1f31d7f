"""Mixtures of experts of ``record_foreign.py``; three or four experts, each of its own inner size."""

from typing import Any

from foreign_parts import (
    HEAD,
    HEADS,
    HIDDEN,
    INNER,
    KV,
    LAYER,
    LLAMA,
    Foreign,
    Shapes,
    around,
    attention,
    gated,
    norms,
    under,
)

EXPERTS, EXPERT_INNER, SMALL = 3, 12, 16
MLP, BLOCK = f"{LAYER}.mlp", f"{LAYER}.block_sparse_moe"


def routed(module: str, inner: int = EXPERT_INNER, names: str = "gate_proj up_proj down_proj") -> Shapes:
    """Return the weights of each expert of a module."""
    found: Shapes = {}
    for expert in range(EXPERTS):
        found |= gated(f"{module}.{expert}", inner, names)
    return found


def router(module: str = f"{MLP}.gate") -> Shapes:
    """Return the weight that chooses experts."""
    return {f"{module}.weight": (EXPERTS, HIDDEN)}


def config(vocab: int, **more: Any) -> dict[str, Any]:
    """Return the settings of a Llama with experts, two of which act at a time."""
    sizes = {"vocab_size": vocab, "num_experts_per_tok": 2, "moe_intermediate_size": EXPERT_INNER}
    return {**LLAMA, **sizes, **more}


def sharing(shared: int = 2) -> Shapes:
    """Return routed experts, and some that always act, kept in one."""
    return {**router(), **routed(f"{MLP}.experts"), **gated(f"{MLP}.shared_experts", shared * EXPERT_INNER)}


def biased(shapes: Shapes) -> Shapes:
    """Return weights with a bias for each."""
    return shapes | {name.replace(".weight", ".bias"): shape[:1] for name, shape in shapes.items()}


def bailing(vocab: int) -> tuple[Foreign, ...]:
    """Return Ling, 1 and 2: q, k and v in one; from 2 on, the first layer may be dense."""
    qkv = {"query_key_value": ((HEADS + 2 * KV) * HEAD, HIDDEN), "dense": (HIDDEN, HEADS * HEAD)}
    fused = {**under(f"{LAYER}.attention", qkv), **norms()}
    normed = under(f"{LAYER}.attention", {"query_layernorm": (HEAD,), "key_layernorm": (HEAD,)})
    outside = {
        "model.word_embeddings.weight": (vocab, HIDDEN),
        "model.norm.weight": (HIDDEN,),
        "lm_head.weight": (vocab, HIDDEN),
    }
    shared = config(vocab, num_experts=EXPERTS, norm_topk_prob=True)
    two = {"first_k_dense_replace": 1, "routed_scaling_factor": 2.5, "score_function": "sigmoid"}
    return (
        Foreign(
            "bailingmoe",
            "BailingMoeForCausalLM",
            {**shared, "num_shared_experts": 2, "first_k_dense_replace": 0, "norm_head": False},
            {**fused, **sharing()},
            outside,
        ),
        Foreign(
            "bailingmoe2",
            "BailingMoeV2ForCausalLM",
            {**shared, **two, "num_shared_experts": 1, "head_dim": HEAD, "n_group": 1, "topk_group": 1},
            {**fused, **normed, **gated()},
            outside,
            {**fused, **normed, **sharing(1), f"{MLP}.gate.expert_bias": (EXPERTS,)},
        ),
    )


def deepseek(vocab: int) -> Foreign:
    """Return DeepSeek V1: the first layer is dense."""
    own = {"n_routed_experts": EXPERTS, "n_shared_experts": 2, "first_k_dense_replace": 1}
    return Foreign(
        "deepseek",
        "DeepseekForCausalLM",
        config(vocab, **own),
        {**attention(), **gated(), **norms()},
        around(vocab),
        {**attention(), **sharing(), **norms()},
    )


def dots1(vocab: int) -> Foreign:
    """Return dots.llm1: DeepSeek V3's experts, Qwen 3's attention with as many key heads as query heads."""
    own = {
        "n_routed_experts": EXPERTS,
        "n_shared_experts": 2,
        "first_k_dense_replace": 1,
        "routed_scaling_factor": 2.5,
        "norm_topk_prob": True,
        "scoring_func": "sigmoid",
        "head_dim": HEAD,
        "num_key_value_heads": HEADS,
    }
    normed = {**attention(HEADS), **norms(), **head_norms()}
    return Foreign(
        "dots1",
        "Dots1ForCausalLM",
        config(vocab, **own),
        {**normed, **gated()},
        around(vocab),
        {**normed, **sharing(), f"{MLP}.gate.e_score_correction_bias": (EXPERTS,)},
    )


def head_norms(names: str = "q_norm k_norm") -> Shapes:
    """Return the weights of norms over a head."""
    return under(f"{LAYER}.self_attn", dict.fromkeys(names.split(), (HEAD,)))


def ernie(vocab: int) -> Foreign:
    """Return ERNIE 4.5's mixtures; the converter takes the size of what always acts from others."""
    own = {
        "moe_num_experts": EXPERTS,
        "moe_k": 2,
        "moe_layer_interval": 1,
        "moe_layer_start_index": 1,
        "moe_num_shared_experts": 2,
    }
    assert INNER // KV == 2 * EXPERT_INNER
    return Foreign(
        "ernie4_5-moe",
        "Ernie4_5_MoeForCausalLM",
        config(vocab, **own),
        {**attention(), **gated(), **norms()},
        around(vocab),
        {**attention(), **sharing(), **norms(), f"{MLP}.moe_statics.e_score_correction_bias": (1, EXPERTS)},
    )


def hunyuan(vocab: int) -> Foreign:
    """Return Hunyuan's mixtures: experts as large as the block that always acts."""
    own = {
        "num_experts": EXPERTS,
        "moe_topk": [2, 2],
        "intermediate_size": SMALL,
        "moe_intermediate_size": [SMALL, SMALL],
        "num_shared_expert": [1, 1],
        "head_dim": HEAD,
    }
    experts = {
        **routed(f"{MLP}.experts", SMALL),
        **gated(f"{MLP}.shared_mlp", SMALL),
        **router(f"{MLP}.gate.wg"),
    }
    return Foreign(
        "hunyuan-moe",
        "HunYuanMoEV1ForCausalLM",
        config(vocab, **own),
        {**attention(), **norms(), **head_norms("query_layernorm key_layernorm"), **experts},
        around(vocab),
    )


def arctic(vocab: int) -> Foreign:
    """Return Arctic: beside the experts, a small block that is as wide as the model."""
    names = "input_layernorm post_attention_layernorm residual_layernorm"
    blocks = {
        **gated(f"{LAYER}.residual_mlp", HIDDEN, "w1 w3 w2"),
        **router(f"{BLOCK}.gate"),
        **routed(f"{BLOCK}.experts", SMALL, "w1 w3 w2"),
    }
    return Foreign(
        "arctic",
        "ArcticForCausalLM",
        config(vocab, intermediate_size=SMALL, num_local_experts=EXPERTS),
        {**attention(), **norms(names=names), **blocks},
        around(vocab),
    )


def phimoe(vocab: int) -> Foreign:
    """Return Phi 3.5's mixture as its authors named it: biases in the attention, the norms and the head."""
    return Foreign(
        "phimoe",
        "PhiMoEForCausalLM",
        config(
            vocab,
            intermediate_size=SMALL,
            num_local_experts=EXPERTS,
            original_max_position_embeddings=64,
        ),
        {
            **biased({**attention(), **norms()}),
            **router(f"{BLOCK}.gate"),
            **routed(f"{BLOCK}.experts", SMALL, "w1 w3 w2"),
        },
        {**around(vocab, norms="weight bias"), "lm_head.bias": (vocab,)},
    )


def dbrx(vocab: int) -> Foreign:
    """Return DBRX: the experts of a layer lie one below the other in one matrix, without ``.weight``."""
    block, stack = "transformer.blocks.{i}", (EXPERTS * SMALL, HIDDEN)
    sizes = {
        "norm_attn_norm.attn.Wqkv": ((HEADS + 2 * KV) * HEAD, HIDDEN),
        "norm_attn_norm.attn.out_proj": (HIDDEN, HIDDEN),
        "ffn.router.layer": (EXPERTS, HIDDEN),
        "norm_attn_norm.norm_1": (HIDDEN,),
        "norm_attn_norm.norm_2": (HIDDEN,),
    }
    return Foreign(
        "dbrx",
        "DbrxForCausalLM",
        {
            "d_model": HIDDEN,
            "n_heads": HEADS,
            "n_layers": 2,
            "max_seq_len": 64,
            "vocab_size": vocab,
            "attn_config": {"kv_n_heads": KV, "rope_theta": 10000.0, "clip_qkv": 8.0},
            "ffn_config": {"ffn_hidden_size": SMALL, "moe_num_experts": EXPERTS, "moe_top_k": 2},
        },
        {**under(block, sizes), **{f"{block}.ffn.experts.mlp.{name}": stack for name in ("w1", "v1", "w2")}},
        {
            "transformer.wte.weight": (vocab, HIDDEN),
            "transformer.norm_f.weight": (HIDDEN,),
            "lm_head.weight": (vocab, HIDDEN),
        },
    )


def llama4(vocab: int) -> Foreign:
    """Return Llama 4's text model: every second layer has experts, in two parameters, stored in × out."""
    experts = f"{LAYER}.feed_forward.experts"
    own = {
        "intermediate_size": EXPERT_INNER,
        "intermediate_size_mlp": INNER,
        "num_local_experts": EXPERTS,
        "num_experts_per_tok": 1,
        "interleave_moe_layer_step": 2,
        "head_dim": HEAD,
    }
    return Foreign(
        "llama4",
        "Llama4ForCausalLM",
        {**LLAMA, "vocab_size": vocab, **own},
        {**attention(), **gated(f"{LAYER}.feed_forward"), **norms()},
        around(vocab),
        {
            **attention(),
            **norms(),
            **router(f"{LAYER}.feed_forward.router"),
            **gated(f"{LAYER}.feed_forward.shared_expert", EXPERT_INNER),
            f"{experts}.gate_up_proj": (EXPERTS, HIDDEN, 2 * EXPERT_INNER),
            f"{experts}.down_proj": (EXPERTS, EXPERT_INNER, HIDDEN),
        },
    )


def smallthinker(vocab: int) -> Foreign:
    """Return SmallThinker: what chooses experts reads the input of the layer."""
    own = {
        "moe_num_primary_experts": EXPERTS,
        "moe_num_active_primary_experts": 2,
        "moe_ffn_hidden_size": EXPERT_INNER,
        "head_dim": HEAD,
    }
    return Foreign(
        "smallthinker",
        "SmallThinkerForCausalLM",
        {**LLAMA, "vocab_size": vocab, **own},
        {
            **attention(),
            **norms(),
            **router(f"{BLOCK}.primary_router"),
            **routed(f"{BLOCK}.experts", names="gate up down"),
        },
        around(vocab),
    )


def mixtures(vocab: int) -> tuple[Foreign, ...]:
    """Return every class of this file."""
    sharing_some = (*bailing(vocab), deepseek(vocab), dots1(vocab), ernie(vocab), hunyuan(vocab))
    return (*sharing_some, arctic(vocab), phimoe(vocab), dbrx(vocab), llama4(vocab), smallthinker(vocab))
