"""The tiny models that stand for the rows of the table, one for each class that transformers has."""

from dataclasses import replace
from statistics import NormalDist
from typing import Any

import transformers
from kinds_models import COMMON, MOST, Tiny, vocabulary
from kinds_models import TINY as KINDS

DENSE = {**COMMON, "head_dim": 8, "intermediate_size": 36}
SQUARE = {**COMMON, "intermediate_size": 36}
ROTATION = {"rope_type": "default", "rope_theta": 10000.0}
SPARSITY = NormalDist().cdf(1.6448533535003662 * (36 / 35) ** 0.5)
"""Share of a gate's values that are cut off: llama.cpp divides by their number less one, torch does not."""
EXPERTS = {**MOST, "num_experts": 4, "moe_intermediate_size": 20, "intermediate_size": 36}

MIXED = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 20}
LAYERS = ["linear_attention", "full_attention"]
GATED = {
    **DENSE, "head_dim": 16, "linear_num_key_heads": 2, "linear_num_value_heads": 6, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8, "layer_types": LAYERS, "shared_expert_intermediate_size": 28,
}  # fmt: skip
"""Three value heads a key head: with two, the order of the heads would be its own inverse."""

SHARED = {
    "rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5, "mrope_section": [2, 1, 1],
    "mrope_interleaved": True,
}  # fmt: skip
HEADS = {"mamba_n_heads": 6, "mamba_d_head": 8, "mamba_n_groups": 2, "mamba_d_state": 16}
GRANITE4 = {
    **SQUARE, **HEADS, "layer_types": LAYERS, "embedding_multiplier": 2.0, "logits_scaling": 3.0,
    "residual_multiplier": 0.7, "attention_multiplier": 0.4,
}  # fmt: skip
NEMOTRON = {
    **{key: value for key, value in DENSE.items() if key != "num_hidden_layers"}, "mamba_num_heads": 6,
    "mamba_head_dim": 8, "ssm_state_size": 16, "n_groups": 2, "time_step_min": 1e-9,
}  # fmt: skip
"""The smallest step is 0 in llama.cpp, and transformers takes its logarithm."""

UNROUTED = dict.fromkeys(("num_experts_per_tok", "n_routed_experts", "n_group", "topk_group"))
"""What a published NemotronH without experts does not say, and transformers always writes."""


def tiny(name: str, stem: str, settings: dict[str, Any], **more: Any) -> Tiny:
    """Return a row's model by the stem of its classes in transformers."""
    config, _, model = stem.partition("/")
    return Tiny(
        name,
        getattr(transformers, f"{config}Config"),
        getattr(transformers, f"{model or config}ForCausalLM"),
        settings,
        **more,
    )


def seeing(name: str, stem: str, settings: dict[str, Any], sections: list[int]) -> Tiny:
    """Return the model of a row that sees, whose text part is recorded: how its rotation is shared out."""
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": sections}
    text = {**settings, "vocab_size": vocabulary(), "rope_parameters": rope}
    eyes = {"depth": 1, "hidden_size": 16, "num_heads": 2, "intermediate_size": 16}
    eyes |= {"out_hidden_size": settings["hidden_size"], "deepstack_visual_indexes": []}
    return Tiny(
        name,
        getattr(transformers, f"{stem}Config"),
        getattr(transformers, f"{stem}ForConditionalGeneration"),
        {"text_config": text, "vision_config": eyes, "tie_word_embeddings": False},
    )


OTHERS = {model.name: model for model in KINDS}
TINY = (
    tiny("llama", "Llama", DENSE),
    tiny("mistral", "Mistral", {**DENSE, "sliding_window": None}),
    tiny("qwen2", "Qwen2", SQUARE),
    replace(OTHERS["gpt2"], settings={**OTHERS["gpt2"].settings, "tie_word_embeddings": True}),
    *(OTHERS[name] for name in ("mixtral", "qwen3moe", "gptoss")),
    tiny("qwen3", "Qwen3", DENSE),
    tiny("gemma", "Gemma", {**DENSE, "tie_word_embeddings": True}),
    tiny("gemma2", "Gemma2", {**DENSE, "tie_word_embeddings": True, "query_pre_attn_scalar": 8}),
    tiny("gemma3", "Gemma3Text/Gemma3", {**DENSE, "tie_word_embeddings": True, "query_pre_attn_scalar": 8}),
    tiny("gemma3n", "Gemma3nText/Gemma3n", {
        **DENSE, "num_hidden_layers": 1, "tie_word_embeddings": True, "num_kv_shared_layers": 0,
        "hidden_size_per_layer_input": 256, "vocab_size_per_layer_input": vocabulary(), "laurel_rank": 64,
        "activation_sparsity_pattern": [SPARSITY], "layer_types": ["sliding_attention"],
        "sliding_window": 64, "rope_parameters": {"sliding_attention": ROTATION, "full_attention": ROTATION},
    }),
    tiny("gemma4", "Gemma4Text/Gemma4", {
        **DENSE, "num_hidden_layers": 4, "tie_word_embeddings": True, "global_head_dim": 16,
        "hidden_size_per_layer_input": 6, "vocab_size_per_layer_input": vocabulary(), "sliding_window": 64,
        "layer_types": ["sliding_attention", "full_attention"] * 2, "num_kv_shared_layers": 2,
        "use_double_wide_mlp": True, "final_logit_softcapping": 30.0,
    }),
    tiny("olmo", "Olmo", SQUARE),
    tiny("olmo2", "Olmo2", SQUARE),
    tiny("olmo3", "Olmo3", SQUARE),
    tiny("olmoe", "Olmoe", {
        **COMMON, "num_key_value_heads": 4, "num_experts": 4, "num_experts_per_tok": 2,
        "intermediate_size": 20,
    }),
    tiny("stablelm", "StableLm", {**SQUARE, "hidden_size": 32}),
    tiny("command-r", "Cohere", {**SQUARE, "tie_word_embeddings": True}),
    tiny("cohere2", "Cohere2", {
        **SQUARE, "sliding_window": 64, "layer_types": ["sliding_attention"] * 2, "tie_word_embeddings": True,
    }, written={"rotary_pct": 1.0}),
    tiny("exaone4", "Exaone4", {
        **SQUARE, "hidden_size": 32, "sliding_window": None, "layer_types": ["full_attention"] * 2,
    }),
    tiny("seed_oss", "SeedOss", DENSE),
    tiny("hunyuan-dense", "HunYuanDenseV1", {**DENSE, "rope_theta": 10000.0}),
    tiny("ernie4_5", "Ernie4_5", {**DENSE, "tie_word_embeddings": True}),
    tiny("glm4", "Glm4", DENSE),
    tiny("chatglm", "Glm", {**SQUARE, "hidden_size": 32, "head_dim": 8}),
    tiny("glm4moe", "Glm4Moe", {
        **EXPERTS, "n_routed_experts": 4, "n_shared_experts": 1, "first_k_dense_replace": 1, "n_group": 1,
        "topk_group": 1,
    }, written={"num_nextn_predict_layers": 0}),
    tiny("nemotron", "Nemotron", {**SQUARE, "hidden_size": 32, "hidden_act": "relu2"}),
    tiny("starcoder2", "Starcoder2", {**SQUARE, "tie_word_embeddings": True, "sliding_window": None}),
    tiny("apertus", "Apertus", SQUARE),
    tiny("arcee", "Arcee", DENSE),
    tiny("jais2", "Jais2", {**SQUARE, "hidden_size": 32}),
    tiny("lfm2", "Lfm2", {
        **SQUARE, "tie_word_embeddings": True, "layer_types": ["conv", "full_attention"],
        "block_auto_adjust_ff_dim": False,
    }),
    tiny("mistral3", "Ministral3", DENSE),
    tiny("qwen2moe", "Qwen2Moe", {
        **SQUARE, "hidden_size": 32, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 20,
        "shared_expert_intermediate_size": 28, "norm_topk_prob": False,
    }),
    tiny("phi2", "Phi", {**SQUARE, "hidden_size": 32, "intermediate_size": 128, "num_key_value_heads": 4}),
    tiny("phimini", "Phi3", {**SQUARE, "sliding_window": 64, "bos_token_id": 1, "eos_token_id": 2}),
    tiny("gptneox", "GPTNeoX", {
        **SQUARE, "num_key_value_heads": 4, "rotary_pct": 1.0,
    }, written={"rotary_pct": 1.0}),
    tiny("bloom", "Bloom", {"hidden_size": 24, "n_layer": 2, "n_head": 4, "tie_word_embeddings": True}),
    tiny("falcon", "Falcon", {
        **COMMON, "tie_word_embeddings": True, "new_decoder_architecture": True, "num_kv_heads": 2,
        "alibi": False, "bias": False,
    }),
    tiny("falcon-7b", "Falcon", {
        **COMMON, "tie_word_embeddings": True, "new_decoder_architecture": False, "multi_query": True,
        "parallel_attn": True, "alibi": False, "bias": False, "num_kv_heads": 1,
    }),
    tiny("starcoder", "GPTBigCode", {
        "n_embd": 24, "n_layer": 2, "n_head": 4, "n_positions": 64, "tie_word_embeddings": True,
        "multi_query": True,
    }),
    tiny("granite", "Granite", {
        **SQUARE, "embedding_multiplier": 2.0, "logits_scaling": 3.0, "residual_multiplier": 0.7,
        "attention_multiplier": 0.4,
    }),
    tiny("granitemoe", "GraniteMoe", {**SQUARE, "num_local_experts": 4, "num_experts_per_tok": 2}),
    tiny("lfm2moe", "Lfm2Moe", {
        **SQUARE, "tie_word_embeddings": True, "layer_types": ["conv", "full_attention"],
        "num_dense_layers": 1, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 20,
    }),
    tiny("jamba", "Jamba", {
        **SQUARE, "num_experts": 4, "num_experts_per_tok": 2, "attn_layer_period": 2, "attn_layer_offset": 1,
        "expert_layer_period": 2, "expert_layer_offset": 1, "mamba_d_state": 8, "mamba_d_conv": 4,
        "mamba_expand": 2, "mamba_dt_rank": 6, "use_mamba_kernels": False,
    }),
    seeing("qwen2vl", "Qwen2_5_VL", {**SQUARE, "hidden_size": 32}, [1, 1, 2]),
    seeing("qwen3vl", "Qwen3VL", {**DENSE}, [2, 1, 1]),
    tiny("smollm3", "SmolLM3", {**SQUARE, "tie_word_embeddings": True, "use_sliding_window": False}),
    tiny("qwen3next", "Qwen3Next", {**GATED, **MIXED}),
    tiny("qwen35", "Qwen3_5Text/Qwen3_5", {**GATED, "rope_parameters": SHARED}),
    tiny("qwen35moe", "Qwen3_5MoeText/Qwen3_5Moe", {**GATED, **MIXED, "rope_parameters": SHARED}),
    tiny("falcon-h1", "FalconH1", {
        **DENSE, **HEADS, "mamba_n_heads": 4, "mamba_d_ssm": 32, "mamba_rms_norm": True,
        "mamba_norm_before_gate": False, "embedding_multiplier": 1.7, "lm_head_multiplier": 0.6,
        "key_multiplier": 0.8, "attention_in_multiplier": 1.2, "attention_out_multiplier": 0.9,
        "ssm_in_multiplier": 1.3, "ssm_out_multiplier": 0.7,
        "ssm_multipliers": [0.75, 1.25, 0.85, 1.15, 0.95], "mlp_multipliers": [1.4, 0.65],
    }),
    tiny("mamba", "Mamba", {
        "hidden_size": 24, "num_hidden_layers": 2, "state_size": 8, "time_step_rank": 6,
        "tie_word_embeddings": False,
    }, written={"pad_vocab_size_multiple": 1}),
    tiny("falcon-mamba", "FalconMamba", {
        "hidden_size": 24, "num_hidden_layers": 2, "state_size": 8, "time_step_rank": 6,
        "tie_word_embeddings": False,
    }, written={"pad_vocab_size_multiple": 1}),
    tiny("mamba2", "Mamba2", {
        "hidden_size": 24, "num_hidden_layers": 2, "state_size": 16, "num_heads": 6, "head_dim": 8,
        "n_groups": 2,
    }, written={"pad_vocab_size_multiple": 1}),
    tiny("granitehybrid", "GraniteMoeHybrid", {
        **GRANITE4, "num_local_experts": 0, "num_experts_per_tok": 0, "shared_intermediate_size": 36,
    }, written={"layer_types": ["mamba", "attention"]}),
    tiny("granitehybrid-moe", "GraniteMoeHybrid", {
        **GRANITE4, "num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 20,
        "shared_intermediate_size": 28,
    }, written={"layer_types": ["mamba", "attention"]}),
    tiny("granite4", "GraniteMoeHybrid", {
        **GRANITE4, "num_local_experts": 0, "num_experts_per_tok": 0, "shared_intermediate_size": 36,
        "layer_types": ["full_attention"] * 2, "position_embedding_type": "rope",
    }, written={"layer_types": ["attention"] * 2}),
    tiny("bamba", "Bamba", {
        **SQUARE, **HEADS, "hidden_size": 32, "mamba_n_heads": 8, "attn_layer_indices": [1],
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 1.0},
    }, written={"attn_rotary_emb": 8}),
    tiny("nemotron_h", "NemotronH", {**NEMOTRON, "layers_block_type": [*LAYERS, "mlp"]}, written={
        "hybrid_override_pattern": "M*-", "mamba_d_head": 8, "as_published": UNROUTED,
    }),
    tiny("nemotron_h_moe", "NemotronH", {
        **NEMOTRON, "layers_block_type": [*LAYERS, "moe"], "n_routed_experts": 4, "num_experts_per_tok": 2,
        "moe_intermediate_size": 20, "moe_shared_expert_intermediate_size": 28, "routed_scaling_factor": 1.5,
    }, written={"hybrid_override_pattern": "M*E", "mamba_d_head": 8}),
)  # fmt: skip
