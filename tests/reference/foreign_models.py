"""The classes that ``record_foreign.py`` records: names and shapes as their authors gave them."""

from foreign_dense import dense
from foreign_mixtures import mixtures
from foreign_parts import HEAD, HEADS, HIDDEN, INNER, KV, LLAMA, Foreign, around, llama_layer


def llamas(vocab: int) -> tuple[Foreign, ...]:
    """Return the classes whose weights are named as Llama's."""
    llama = {**LLAMA, "vocab_size": vocab}
    return (
        Foreign("internlm3", "InternLM3ForCausalLM", llama, llama_layer(), around(vocab)),
        Foreign("iquest", "IQuestCoderForCausalLM", llama, llama_layer(), around(vocab)),
        Foreign(
            "minicpm",
            "MiniCPMForCausalLM",
            {**llama, "scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 16},
            llama_layer(),
            around(vocab),
        ),
        Foreign(
            "orion",
            "OrionForCausalLM",
            {**llama, "num_key_value_heads": HEADS},
            llama_layer(HEADS, norms="weight bias"),
            around(vocab, norms="weight bias"),
        ),
    )


def exaone(vocab: int) -> Foreign:
    """Return EXAONE 3."""
    block = "transformer.h.{i}"
    return Foreign(
        "exaone",
        "ExaoneForCausalLM",
        {
            **LLAMA,
            "vocab_size": vocab,
            "num_layers": 2,
            "activation_function": "silu",
            "layer_norm_epsilon": 1e-5,
        },
        {
            f"{block}.attn.attention.q_proj.weight": (HEADS * HEAD, HIDDEN),
            f"{block}.attn.attention.k_proj.weight": (KV * HEAD, HIDDEN),
            f"{block}.attn.attention.v_proj.weight": (KV * HEAD, HIDDEN),
            f"{block}.attn.attention.out_proj.weight": (HIDDEN, HEADS * HEAD),
            f"{block}.mlp.c_fc_0.weight": (INNER, HIDDEN),
            f"{block}.mlp.c_fc_1.weight": (INNER, HIDDEN),
            f"{block}.mlp.c_proj.weight": (HIDDEN, INNER),
            f"{block}.ln_1.weight": (HIDDEN,),
            f"{block}.ln_2.weight": (HIDDEN,),
        },
        {
            "transformer.wte.weight": (vocab, HIDDEN),
            "transformer.ln_f.weight": (HIDDEN,),
            "lm_head.weight": (vocab, HIDDEN),
        },
    )


def qwen(vocab: int) -> Foreign:
    """Return Qwen 1."""
    return Foreign(
        "qwen",
        "QWenLMHeadModel",
        {
            **LLAMA,
            "vocab_size": vocab,
            "intermediate_size": 2 * INNER,
            "layer_norm_epsilon": 1e-6,
            "seq_length": 64,
        },
        {
            "transformer.h.{i}.attn.c_attn.weight": (3 * HIDDEN, HIDDEN),
            "transformer.h.{i}.attn.c_attn.bias": (3 * HIDDEN,),
            "transformer.h.{i}.attn.c_proj.weight": (HIDDEN, HIDDEN),
            "transformer.h.{i}.mlp.w1.weight": (INNER, HIDDEN),
            "transformer.h.{i}.mlp.w2.weight": (INNER, HIDDEN),
            "transformer.h.{i}.mlp.c_proj.weight": (HIDDEN, INNER),
            "transformer.h.{i}.ln_1.weight": (HIDDEN,),
            "transformer.h.{i}.ln_2.weight": (HIDDEN,),
        },
        {
            "transformer.wte.weight": (vocab, HIDDEN),
            "transformer.ln_f.weight": (HIDDEN,),
            "lm_head.weight": (vocab, HIDDEN),
        },
    )


def mpt(vocab: int) -> Foreign:
    """Return MPT as its authors named it."""
    return Foreign(
        "mpt",
        "MPTForCausalLM",
        {
            "d_model": HIDDEN,
            "n_heads": HEADS,
            "n_layers": 2,
            "max_seq_len": 64,
            "vocab_size": vocab,
            "attn_config": {"clip_qkv": None, "alibi": True, "alibi_bias_max": 8},
        },
        {
            "transformer.blocks.{i}.attn.Wqkv.weight": (3 * HIDDEN, HIDDEN),
            "transformer.blocks.{i}.attn.out_proj.weight": (HIDDEN, HIDDEN),
            "transformer.blocks.{i}.ffn.up_proj.weight": (4 * HIDDEN, HIDDEN),
            "transformer.blocks.{i}.ffn.down_proj.weight": (HIDDEN, 4 * HIDDEN),
            "transformer.blocks.{i}.norm_1.weight": (HIDDEN,),
            "transformer.blocks.{i}.norm_2.weight": (HIDDEN,),
        },
        {"transformer.wte.weight": (vocab, HIDDEN), "transformer.norm_f.weight": (HIDDEN,)},
    )


def chatglm(vocab: int) -> Foreign:
    """Return ChatGLM 3 and GLM-4, 9B, as their authors named them; gate and up are one."""
    block, qkv = "transformer.encoder.layers.{i}", (HEADS + 2 * KV) * HEAD
    return Foreign(
        "chatglm",
        "ChatGLMModel",
        {
            **LLAMA,
            "num_layers": 2,
            "multi_query_attention": True,
            "multi_query_group_num": KV,
            "ffn_hidden_size": INNER,
            "padded_vocab_size": vocab,
            "vocab_size": vocab,
            "seq_length": 64,
            "layernorm_epsilon": 1e-5,
        },
        {
            f"{block}.self_attention.query_key_value.weight": (qkv, HIDDEN),
            f"{block}.self_attention.query_key_value.bias": (qkv,),
            f"{block}.self_attention.dense.weight": (HIDDEN, HEADS * HEAD),
            f"{block}.mlp.dense_h_to_4h.weight": (2 * INNER, HIDDEN),
            f"{block}.mlp.dense_4h_to_h.weight": (HIDDEN, INNER),
            f"{block}.input_layernorm.weight": (HIDDEN,),
            f"{block}.post_attention_layernorm.weight": (HIDDEN,),
        },
        {
            "transformer.embedding.word_embeddings.weight": (vocab, HIDDEN),
            "transformer.encoder.final_layernorm.weight": (HIDDEN,),
            "transformer.output_layer.weight": (vocab, HIDDEN),
        },
    )


def models(vocab: int) -> tuple[Foreign, ...]:
    """Return every class that is recorded."""
    own = (exaone(vocab), qwen(vocab), mpt(vocab), chatglm(vocab))
    return (*llamas(vocab), *own, *dense(vocab), *mixtures(vocab))
