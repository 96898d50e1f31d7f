"""Record how llama.cpp's converter orders the weights of classes whose code is not in transformers.

Run in the environment of ``record.py``. A checkpoint of random weights is written by hand, with the names and
shapes that the class has, and brought to GGUF by llama.cpp's own converter. What the converter did to each
weight is the truth for the row: its own permutation, not ours. Weights are kept as they were
(``weights.safetensors``), beside what became of them (``base.gguf``).
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import record
import torch
from kinds_models import vocabulary
from llama_source import ROOT, fetch_llama_source
from record_archs import CONVERTER
from safetensors.torch import save_file

OUT = ROOT / "tests" / "goldens" / "archs-foreign"
HIDDEN, INNER, HEADS, KV, HEAD = 32, 48, 4, 2, 8
LLAMA = {
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Foreign:
    """A class that is not in transformers: its config.json, and its weights in layer {i} and outside."""

    name: str
    model: str
    config: dict[str, Any]
    layer: Shapes
    outside: Shapes = field(default_factory=dict)


def llama_layer(kv: int = KV, *, norms: str = "weight") -> Shapes:
    """Return the weights of a layer as Llama names them; `norms` is what a norm has."""
    linear = {
        "self_attn.q_proj": (HEADS * HEAD, HIDDEN),
        "self_attn.k_proj": (kv * HEAD, HIDDEN),
        "self_attn.v_proj": (kv * HEAD, HIDDEN),
        "self_attn.o_proj": (HIDDEN, HEADS * HEAD),
        "mlp.gate_proj": (INNER, HIDDEN),
        "mlp.up_proj": (INNER, HIDDEN),
        "mlp.down_proj": (HIDDEN, INNER),
    }
    found = {f"model.layers.{{i}}.{name}.weight": shape for name, shape in linear.items()}
    for norm in ("input_layernorm", "post_attention_layernorm"):
        found |= {f"model.layers.{{i}}.{norm}.{part}": (HIDDEN,) for part in norms.split()}
    return found


def around(vocab: int, *, norms: str = "weight") -> Shapes:
    """Return what lies outside the layers of a Llama."""
    found = {"model.embed_tokens.weight": (vocab, HIDDEN), "lm_head.weight": (vocab, HIDDEN)}
    return found | {f"model.norm.{part}": (HIDDEN,) for part in norms.split()}


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
    return (*llamas(vocab), exaone(vocab), qwen(vocab), mpt(vocab), chatglm(vocab))


def weights_of(model: Foreign) -> dict[str, torch.Tensor]:
    """Return random weights, two layers of them."""
    generator = torch.Generator().manual_seed(sum(model.name.encode()))
    shapes = {name.replace("{i}", str(i)): shape for i in (0, 1) for name, shape in model.layer.items()}
    return {
        name: torch.randn(shape, generator=generator).half().float()
        for name, shape in {**shapes, **model.outside}.items()
    }


def record_class(model: Foreign, llama_cpp: Path) -> None:
    """Record one class: its weights, and what the converter made of them."""
    folder = OUT / model.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    weights = weights_of(model)
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch) / f"tiny-{model.name}"
        checkpoint.mkdir()
        save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
        (checkpoint / "tokenizer.model").write_bytes(record.tokenizer_model())
        config = {"architectures": [model.model], "torch_dtype": "float32", **model.config}
        (checkpoint / "config.json").write_text(json.dumps(config), "utf-8")
        command = [sys.executable, "-c", CONVERTER, str(llama_cpp), str(checkpoint)]
        subprocess.run([*command, "--outtype", "f16", "--outfile", str(folder / "base.gguf")], check=True)
    linear = {name: weight.half() for name, weight in weights.items() if weight.ndim == 2}
    save_file(linear, folder / "weights.safetensors")
    (folder / "class.json").write_text(json.dumps({"class": model.model}) + "\n", "utf-8")


def main() -> None:
    """Record the classes that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="classes to record; all if none is named")
    names = parser.parse_args().names
    llama_cpp = fetch_llama_source(ROOT / ".cache")
    for model in models(vocabulary()):
        if not names or model.name in names:
            record_class(model, llama_cpp)


if __name__ == "__main__":
    main()
