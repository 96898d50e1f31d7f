"""The tiny models that stand for the rows of the table, one for each class that transformers has."""

from typing import Any

import transformers
from kinds_models import COMMON, MOST, Tiny, vocabulary

DENSE = {**COMMON, "head_dim": 8, "intermediate_size": 36}
SQUARE = {**COMMON, "intermediate_size": 36}
EXPERTS = {**MOST, "num_experts": 4, "moe_intermediate_size": 20, "intermediate_size": 36}


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


TINY = (
    tiny("qwen3", "Qwen3", DENSE),
    tiny("gemma", "Gemma", {**DENSE, "tie_word_embeddings": True}),
    tiny("gemma2", "Gemma2", {**DENSE, "tie_word_embeddings": True, "query_pre_attn_scalar": 8}),
    tiny("gemma3", "Gemma3Text/Gemma3", {**DENSE, "tie_word_embeddings": True, "query_pre_attn_scalar": 8}),
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
    tiny("gptneox", "GPTNeoX", {**SQUARE, "rotary_pct": 1.0}, written={"rotary_pct": 1.0}),
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
        **SQUARE, "num_experts": 1, "num_experts_per_tok": 1, "attn_layer_period": 2, "attn_layer_offset": 1,
        "expert_layer_period": 4, "expert_layer_offset": 3, "mamba_d_state": 8, "mamba_d_conv": 4,
        "mamba_expand": 2, "mamba_dt_rank": 6, "use_mamba_kernels": False,
    }),
    seeing("qwen2vl", "Qwen2_5_VL", {**SQUARE, "hidden_size": 32}, [1, 1, 2]),
    seeing("qwen3vl", "Qwen3VL", {**DENSE}, [2, 1, 1]),
    tiny("smollm3", "SmolLM3", {**SQUARE, "tie_word_embeddings": True, "use_sliding_window": False}),
)  # fmt: skip
