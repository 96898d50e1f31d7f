"""Falcon, and Falcon-H1, whose weights llama.cpp's converter multiplies by numbers of config.json."""

from ollama_pack.arch.blocks import (
    EMBEDDING,
    GPT_LAYER,
    HEAD,
    LAYER,
    attention,
    embedding,
    fused_attention,
    gated_mlp,
    mamba2_mixer,
    mlp,
    with_multipliers,
)
from ollama_pack.arch.multipliers import state_space_inputs, uniform
from ollama_pack.arch.permutations import grouped_qkv
from ollama_pack.arch.spec import Arch

FALCON_WEIGHTS = (
    *fused_attention(f"{GPT_LAYER}.self_attention", "query_key_value", "dense", grouped_qkv),
    *mlp(f"{GPT_LAYER}.mlp", "dense_h_to_4h", "dense_4h_to_h"),
    HEAD,
    embedding("transformer.word_embeddings"),
)

FALCON = Arch(
    name="falcon", hf_classes=("FalconForCausalLM", "RWForCausalLM"), tied=True, weights=FALCON_WEIGHTS
)
FALCON_H1 = Arch(
    name="falcon-h1",
    hf_classes=("FalconH1ForCausalLM",),
    weights=with_multipliers(
        (
            *(*attention(), *gated_mlp(f"{LAYER}.feed_forward")),
            *(*mamba2_mixer(f"{LAYER}.mamba"), HEAD, EMBEDDING),
        ),
        {
            "q_proj": uniform("attention_in_multiplier"),
            "k_proj": uniform("key_multiplier", "attention_in_multiplier"),
            "v_proj": uniform("attention_in_multiplier"),
            "o_proj": uniform("attention_out_multiplier"),
            "gate_proj": uniform("mlp_multipliers"),
            "down_proj": uniform("mlp_multipliers", index=1),
            "in_proj": state_space_inputs,
            "out_proj": uniform("ssm_out_multiplier"),
            "lm_head": uniform("lm_head_multiplier"),
            "embed_tokens": uniform("embedding_multiplier"),
        },
    ),
)
