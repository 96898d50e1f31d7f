"""Dense classes of ``record_foreign.py`` that keep q, k and v, gate and up, or heads in ways of their own."""

from foreign_parts import (
    HEAD,
    HEADS,
    HIDDEN,
    INNER,
    KV,
    LAYER,
    LLAMA,
    Foreign,
    around,
    attention,
    gated,
    llama_layer,
    norms,
    under,
)

QKV = (HEADS + 2 * KV) * HEAD


def internlm2(vocab: int) -> Foreign:
    """Return InternLM 2: q, k and v of each key head together."""
    return Foreign(
        "internlm2",
        "InternLM2ForCausalLM",
        {**LLAMA, "vocab_size": vocab},
        {
            **under(f"{LAYER}.attention", {"wqkv": (QKV, HIDDEN), "wo": (HIDDEN, HEADS * HEAD)}),
            **gated(f"{LAYER}.feed_forward", names="w1 w3 w2"),
            **norms(names="attention_norm ffn_norm"),
        },
        under("model", {"tok_embeddings": (vocab, HIDDEN), "norm": (HIDDEN,)})
        | {"output.weight": (vocab, HIDDEN)},
    )


def xverse(vocab: int) -> Foreign:
    """Return XVERSE: as many key heads as query heads."""
    config = {**LLAMA, "num_key_value_heads": HEADS, "vocab_size": vocab}
    return Foreign("xverse", "XverseForCausalLM", config, llama_layer(HEADS), around(vocab))


def baichuan(vocab: int) -> Foreign:
    """Return Baichuan: q, k and v one below the other."""
    layer = llama_layer(HEADS)
    for name in "qkv":
        del layer[f"{LAYER}.self_attn.{name}_proj.weight"]
    layer |= under(f"{LAYER}.self_attn", {"W_pack": (3 * HEADS * HEAD, HIDDEN)})
    config = {**LLAMA, "num_key_value_heads": HEADS, "vocab_size": vocab}
    return Foreign("baichuan", "BaichuanForCausalLM", config, layer, around(vocab))


def plamo(vocab: int) -> Foreign:
    """Return PLaMo, 13B: queries of a key head lie apart, and llama.cpp wants them one after another."""
    hidden, kv = 5120, 5 * 128
    layer = "model.layers.layers.{i}"
    return Foreign(
        "plamo",
        "PlamoForCausalLM",
        {
            **LLAMA,
            "hidden_size": hidden,
            "num_attention_heads": 40,
            "num_key_value_heads": 5,
            "vocab_size": vocab,
        },
        under(
            layer,
            {
                "self_attn.q_proj": (hidden, hidden),
                "self_attn.k_proj": (kv, hidden),
                "self_attn.v_proj": (kv, hidden),
                "self_attn.o_proj": (hidden, hidden),
                "mlp.gate_proj": (INNER, hidden),
                "mlp.up_proj": (INNER, hidden),
                "mlp.down_proj": (hidden, INNER),
                "norm": (hidden,),
            },
        ),
        {
            "model.embed_tokens.weight": (vocab, hidden),
            "lm_head.weight": (vocab, hidden),
            "model.norm.weight": (hidden,),
        },
        moved_columns=("o_proj", "attn_output"),
    )


def deci(vocab: int) -> tuple[Foreign, ...]:
    """Return DeciLM, 7B, whose layers differ in key heads, and Nemotron's, of which one layer is linear."""
    config = {**LLAMA, "vocab_size": vocab}
    del config["num_key_value_heads"]
    blocks = [
        {"attention": {"n_heads_in_group": None, "replace_with_linear": True}, "ffn": {"ffn_mult": None}},
        {"attention": {"n_heads_in_group": 2, "replace_with_linear": False}, "ffn": {"ffn_mult": 1.0}},
    ]
    searched = {**attention(HEADS // 2), **gated(inner=256), **norms()}
    linear = under(LAYER, {"self_attn.linear_attn": (HIDDEN, HIDDEN), "input_layernorm": (HIDDEN,)})
    return (
        Foreign(
            "deci",
            "DeciLMForCausalLM",
            {**config, "num_key_value_heads_per_layer": [2, 1]},
            llama_layer(2),
            around(vocab),
            llama_layer(1),
        ),
        Foreign(
            "deci-nas",
            "DeciLMForCausalLM",
            {**config, "block_configs": blocks},
            linear,
            around(vocab),
            searched,
        ),
    )


def openelm(vocab: int) -> Foreign:
    """Return OpenELM: each layer has its own number of heads, and its own inner size."""
    block = "transformer.layers.{i}"

    def layer(heads: int, kv: int, inner: int) -> dict[str, tuple[int, ...]]:
        """Return the weights of a layer with these sizes."""
        sizes = {
            "attn.qkv_proj": ((heads + 2 * kv) * HEAD, HIDDEN),
            "attn.out_proj": (HIDDEN, heads * HEAD),
            "attn.q_norm": (HEAD,),
            "attn.k_norm": (HEAD,),
            "ffn.proj_1": (2 * inner, HIDDEN),
            "ffn.proj_2": (HIDDEN, inner),
        }
        return {**under(block, sizes), **norms(block, "attn_norm ffn_norm")}

    return Foreign(
        "openelm",
        "OpenELMForCausalLM",
        {
            "model_dim": HIDDEN,
            "head_dim": HEAD,
            "num_transformer_layers": 2,
            "num_query_heads": [2, 4],
            "num_kv_heads": [1, 2],
            "ffn_multipliers": [1.0, 1.5],
            "ffn_dim_divisor": 16,
            "max_context_length": 64,
            "rope_freq_constant": 10000,
            "vocab_size": vocab,
        },
        layer(2, 1, HIDDEN),
        under("transformer", {"token_embeddings": (vocab, HIDDEN), "norm": (HIDDEN,)}),
        layer(4, 2, INNER),
    )


def minicpm3(vocab: int) -> Foreign:
    """Return MiniCPM 3: attention through small spaces, as DeepSeek V2 has it."""
    nope, rope, value, q_rank, kv_rank = 8, 4, 8, 12, 10
    sizes = {
        "q_a_proj": (q_rank, HIDDEN),
        "q_a_layernorm": (q_rank,),
        "q_b_proj": (HEADS * (nope + rope), q_rank),
        "kv_a_proj_with_mqa": (kv_rank + rope, HIDDEN),
        "kv_a_layernorm": (kv_rank,),
        "kv_b_proj": (HEADS * (nope + value), kv_rank),
        "o_proj": (HIDDEN, HEADS * value),
    }
    return Foreign(
        "minicpm3",
        "MiniCPM3ForCausalLM",
        {
            **LLAMA,
            "vocab_size": vocab,
            "num_key_value_heads": HEADS,
            "q_lora_rank": q_rank,
            "kv_lora_rank": kv_rank,
            "qk_nope_head_dim": nope,
            "qk_rope_head_dim": rope,
            "v_head_dim": value,
        },
        {**under(f"{LAYER}.self_attn", sizes), **gated(), **norms()},
        around(vocab),
    )


def codeshell(vocab: int) -> Foreign:
    """Return CodeShell: GPT-2 with groups of heads and rotary positions."""
    block = "transformer.h.{i}"
    sizes = {
        "attn.c_attn": (QKV, HIDDEN),
        "attn.c_proj": (HIDDEN, HIDDEN),
        "mlp.c_fc": (4 * HIDDEN, HIDDEN),
        "mlp.c_proj": (HIDDEN, 4 * HIDDEN),
        "ln_1": (HIDDEN,),
        "ln_2": (HIDDEN,),
    }
    biases = {f"{block}.{name}.bias": shape[:1] for name, shape in sizes.items()}
    outside = {"wte": (vocab, HIDDEN), "ln_f": (HIDDEN,)}
    return Foreign(
        "codeshell",
        "CodeShellForCausalLM",
        {
            "n_embd": HIDDEN,
            "n_head": HEADS,
            "n_layer": 2,
            "n_positions": 64,
            "num_query_groups": KV,
            "layer_norm_epsilon": 1e-5,
            "vocab_size": vocab,
        },
        {**under(block, sizes), **biases},
        {
            **under("transformer", outside),
            "transformer.ln_f.bias": (HIDDEN,),
            "lm_head.weight": (vocab, HIDDEN),
        },
    )


def refact(vocab: int) -> Foreign:
    """Return Refact: one key head; the inner size is a multiple of 256, so all else is small."""
    hidden, heads, inner, block = 16, 2, 256, "transformer.h.{i}"
    sizes = {
        "attn.q": (hidden, hidden),
        "attn.kv": (2 * hidden // heads, hidden),
        "attn.c_proj": (hidden, hidden),
        "mlp.gate_up_proj": (2 * inner, hidden),
        "mlp.c_proj": (hidden, inner),
        "ln_1": (hidden,),
        "ln_2": (hidden,),
    }
    return Foreign(
        "refact",
        "GPTRefactForCausalLM",
        {
            "n_embd": hidden,
            "n_head": heads,
            "n_layer": 2,
            "n_positions": 64,
            "layer_norm_epsilon": 1e-5,
            "vocab_size": vocab,
        },
        under(block, sizes),
        {
            "transformer.wte.weight": (vocab, hidden),
            "ln_f.weight": (hidden,),
            "lm_head.weight": (vocab, hidden),
        },
    )


def jais(vocab: int) -> Foreign:
    """Return Jais: GPT-2's weights, stored in × out, with a gate; embeddings and head are scaled."""
    block = "transformer.h.{i}"
    sizes = {
        "attn.c_attn": (HIDDEN, 3 * HIDDEN),
        "attn.c_proj": (HIDDEN, HIDDEN),
        "mlp.c_fc": (HIDDEN, INNER),
        "mlp.c_fc2": (HIDDEN, INNER),
        "mlp.c_proj": (INNER, HIDDEN),
        "ln_1": (HIDDEN,),
        "ln_2": (HIDDEN,),
    }
    biases = {f"{block}.{name}.bias": shape[-1:] for name, shape in sizes.items()}
    return Foreign(
        "jais",
        "JAISLMHeadModel",
        {
            "n_embd": HIDDEN,
            "n_head": HEADS,
            "n_layer": 2,
            "n_inner": INNER,
            "n_positions": 64,
            "activation_function": "swiglu",
            "position_embedding_type": "alibi",
            "mup_embeddings_scale": 2.0,
            "mup_output_alpha": 2.0,
            "mup_width_scale": 0.25,
            "layer_norm_epsilon": 1e-5,
            "vocab_size": vocab,
        },
        {**under(block, sizes), **biases},
        {
            "transformer.wte.weight": (vocab, HIDDEN),
            "transformer.ln_f.weight": (HIDDEN,),
            "transformer.ln_f.bias": (HIDDEN,),
            "lm_head.weight": (vocab, HIDDEN),
        },
    )


def dense(vocab: int) -> tuple[Foreign, ...]:
    """Return every class of this file."""
    fused = (internlm2(vocab), openelm(vocab), codeshell(vocab), refact(vocab), jais(vocab))
    return (*fused, xverse(vocab), baichuan(vocab), plamo(vocab), *deci(vocab), minicpm3(vocab))
