"""The tiny models whose feed-forward blocks are mixtures of experts, and which parameters are adapted."""

from archs_models import DENSE, EXPERTS, ROTATION, SQUARE, seeing, tiny
from kinds_models import COMMON, vocabulary

ATTENTION_MLA = frozenset({"q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "lm_head"})
"""What llama.cpp multiplies without LoRA in DeepSeek's graph."""
GATED = frozenset({"gate_proj", "up_proj", "down_proj"})
"""What PEFT takes for the parameters of experts, wherever it stands, in models that had a module for each."""


def blocks(*modules: str) -> list[str]:
    """Return the three weights of gated blocks, as parameters, so that PEFT leaves them where they are."""
    return [f"{module}.{name}.weight" for module in modules for name in sorted(GATED)]


ROUTED = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
FORWARD = ["feed_forward.experts.gate_up_proj", "feed_forward.experts.down_proj"]
SPARSE = ["block_sparse_moe.experts.gate_up_proj", "block_sparse_moe.experts.down_proj"]
DEEPSEEK = [*ROUTED, *blocks("mlp", "shared_experts")]

MIXTURES = {
    **dict.fromkeys(("mixtral", "qwen3moe", "gptoss"), ROUTED),
    "qwen2moe": ROUTED,
    "olmoe": ROUTED,
    "glm4moe": ROUTED,
    "granitemoe": SPARSE,
    "lfm2moe": FORWARD,
    "jamba": FORWARD,
    "qwen3vlmoe": ROUTED,
    "llama4": FORWARD,
    "glm4moelite": DEEPSEEK,
    "deepseek3": DEEPSEEK,
    "ernie4_5-moe": DEEPSEEK,
    "hunyuan-moe": [*ROUTED, *blocks("shared_mlp")],
    "exaone-moe": DEEPSEEK,
    "granitemoeshared": SPARSE,
    "afmoe": [*DEEPSEEK, "self_attn.gate_proj.weight"],
    "dots1": DEEPSEEK,
    "minimax-m2": ROUTED,
    "mellum": ROUTED,
    "hy_v3": ROUTED,
    "qwen3next": ROUTED,
    "qwen35moe": ROUTED,
    "nemotron_h_moe": ["mixer.experts.up_proj", "mixer.experts.down_proj"],
    "granitehybrid-moe": SPARSE,
    "gemma4moe": ["experts.gate_up_proj"],
}
"""Row → the parameters of its adapter of experts."""

SIGMOID = {"scoring_func": "sigmoid"}
MLA = {
    **COMMON, "num_key_value_heads": 4, "num_experts_per_tok": 2, "q_lora_rank": 10, "kv_lora_rank": 14,
    "qk_nope_head_dim": 6, "qk_rope_head_dim": 8, "v_head_dim": 10, "n_routed_experts": 4,
    "n_shared_experts": 1, "moe_intermediate_size": 20, "intermediate_size": 36, "n_group": 1,
    "topk_group": 1,
}  # fmt: skip

MIXED = (
    seeing("qwen3vlmoe", "Qwen3VLMoe", {**EXPERTS}, [2, 1, 1]),
    tiny("llama4", "Llama4Text/Llama4", {
        **DENSE, "num_hidden_layers": 4, "intermediate_size": 20, "intermediate_size_mlp": 36,
        "num_local_experts": 4, "num_experts_per_tok": 1, "interleave_moe_layer_step": 2,
    }),
    tiny("gemma4moe", "Gemma4Text/Gemma4", {
        **DENSE, "tie_word_embeddings": True, "global_head_dim": 16, "hidden_size_per_layer_input": 0,
        "vocab_size_per_layer_input": vocabulary(),
        "attention_k_eq_v": True, "num_global_key_value_heads": 1, "enable_moe_block": True, "num_experts": 4,
        "top_k_experts": 2, "moe_intermediate_size": 20, "sliding_window": 64,
        "layer_types": ["sliding_attention", "full_attention"], "final_logit_softcapping": 30.0,
    }),
    tiny("dbrx", "Dbrx", {
        "d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 64, "tie_word_embeddings": False,
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 100.0, "rope_theta": 10000.0},
        "ffn_config": {"ffn_hidden_size": 20, "moe_num_experts": 4, "moe_top_k": 2},
        "rope_parameters": ROTATION,
    }),
    tiny("glm4moelite", "Glm4MoeLite", MLA, written={"first_k_dense_replace": 1, **SIGMOID}),
    tiny("deepseek3", "DeepseekV3", {**MLA, "first_k_dense_replace": 1}, written=SIGMOID),
    tiny("ernie4_5-moe", "Ernie4_5_Moe", {
        **SQUARE, "hidden_size": 32, "tie_word_embeddings": True, "intermediate_size": 40,
        "moe_intermediate_size": 20, "moe_num_shared_experts": 1, "moe_num_experts": 4, "moe_k": 2,
        "moe_layer_start_index": 1, "rope_parameters": ROTATION,
    }),
    tiny("hunyuan-moe", "HunYuanMoEV1", {
        **DENSE, "num_experts": 4, "moe_topk": 2, "rope_theta": 10000.0,
    }, written={"moe_intermediate_size": [36, 36], "moe_topk": [2, 2], "num_shared_expert": [1, 1]}),
    tiny("exaone-moe", "ExaoneMoe", {
        **EXPERTS, "num_shared_experts": 1, "sliding_window": 64, "layer_types": ["sliding_attention"] * 2,
    }, written=SIGMOID),
    tiny("granitemoeshared", "GraniteMoeShared", {
        **SQUARE, "num_local_experts": 4, "num_experts_per_tok": 2, "shared_intermediate_size": 28,
    }),
    tiny("afmoe", "Afmoe", {
        **EXPERTS, "num_shared_experts": 1, "num_dense_layers": 1, "sliding_window": 64,
        "layer_types": ["sliding_attention"] * 2, "route_scale": 1.5, "mup_enabled": True,
    }, written={**SIGMOID, "route_norm": True}),
    tiny("dots1", "Dots1", {
        **EXPERTS, "num_key_value_heads": 4, "n_routed_experts": 4, "n_shared_experts": 1,
        "first_k_dense_replace": 1, "norm_topk_prob": True, "sliding_window": None,
        "layer_types": ["full_attention"] * 2,
    }, written=SIGMOID),
    tiny("minimax-m2", "MiniMaxM2", {
        **DENSE, "intermediate_size": 20, "num_local_experts": 4, "num_experts_per_tok": 2, "rotary_dim": 6,
        "rope_parameters": {**ROTATION, "partial_rotary_factor": 0.75},
    }, written={**SIGMOID, "rotary_dim": 6}),
    tiny("mellum", "Mellum", {
        **EXPERTS, "sliding_window": 64, "layer_types": ["sliding_attention"] * 2,
        "rope_parameters": {"sliding_attention": ROTATION, "full_attention": ROTATION},
    }),
    tiny("hy_v3", "HYV3", {**EXPERTS, "num_shared_experts": 1, "mlp_layer_types": ["sparse"] * 2},
         written=SIGMOID),
)  # fmt: skip
"""Mixtures; those of DeepSeek's kind are one architecture for llama.cpp."""
