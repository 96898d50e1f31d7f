"""Record what PEFT computes for each row of the table: a tiny random model, LoRA on every linear module.

Run in the environment of ``record.py``. One adapter a row has all modules; PEFT's logits are recorded for all
of them together, and for each kind of module by itself, the scale of all others being zero, so that one wrong
module cannot hide. The base is brought to GGUF by llama.cpp's own converter.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import peft
import record
import torch
import transformers
from kinds_models import COMMON, MOST, Tiny, build_tiny, tiny_tokens, vocabulary
from llama_source import ROOT, fetch_llama_source

OUT = ROOT / "tests" / "goldens" / "archs-reference"
CONVERTER = """
import json, pathlib, runpy, sys
tree = sys.argv[1]
sys.path.insert(0, tree)
from conversion import load_all_models
from conversion.base import ModelBase, TextModel
load_all_models()
plain = TextModel._set_vocab_sentencepiece
for name in ("gpt2", "qwen", "glm"):
    setattr(TextModel, f"_set_vocab_{name}", plain)
from conversion.chatglm import ChatGLMModel
from conversion.exaone import Exaone4Model
from conversion.glm import Glm4Model
from conversion.hunyuan import HunYuanModel
from conversion.phi import Phi3MiniModel
for model in (ChatGLMModel, Exaone4Model, Glm4Model, HunYuanModel, Phi3MiniModel):
    model.set_vocab = plain
loaded = ModelBase.load_hparams
def load(folder, is_mistral_format):
    raw = json.loads((pathlib.Path(folder) / "config.json").read_text())
    return {**raw, **loaded(folder, is_mistral_format)}
ModelBase.load_hparams = staticmethod(load)
sys.argv = sys.argv[1:]
runpy.run_path(tree + "/convert_hf_to_gguf.py", run_name="__main__")
"""
"""llama.cpp's converter, told to take the sentencepiece model for every architecture, and keys as they are.

It knows byte-pair tokenizers only by their hash, and misses keys that transformers 5 renames as it reads
them; neither plays a part in the order of a weight.
"""

EYES = r".*visual.*"
RANK, ALPHA, NOISE = 3, 6, 0.3
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


SKIPPED = {
    "jamba": frozenset({"dt_proj"}),
    "glm4moe": frozenset({"gate_proj", "up_proj", "down_proj"}),
}
"""Row → kinds of modules that are not recorded: torch uses the weight of dt_proj without LoRA, and PEFT takes
the names of a dense block for the parameters of experts."""

ROUTED = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
MIXTURES = frozenset({"qwen2moe", "olmoe", "glm4moe"})
"""Rows whose routed experts are recorded too, in an adapter of their own."""

CALM = {"lfm2moe": 0.1}
"""Row → how far training has moved its weights, where more would make float16 choose other experts."""


def linear_modules(model: torch.nn.Module, *, tied: bool) -> list[str]:
    """Return the last parts of the names of all linear modules; a head that is the embeddings is left out."""
    found = {
        name.rpartition(".")[2]
        for name, each in model.named_modules()
        if isinstance(each, torch.nn.Linear) and "visual" not in name
    }
    return sorted(found - ({"lm_head", "embed_out"} if tied else set()))


def write_base(model: Tiny, vocab: int, llama_cpp: Path, target: Path) -> None:
    """Bring the base to GGUF, with the keys that the converter reads and transformers no longer writes."""
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch) / f"tiny-{model.name}"
        build_tiny(model, vocab).save_pretrained(checkpoint)
        (checkpoint / "tokenizer.model").write_bytes(record.tokenizer_model())
        path = checkpoint / "config.json"
        config = {**json.loads(path.read_text("utf-8")), **model.written}
        path.write_text(json.dumps(config, indent=2), "utf-8")
        command = [sys.executable, "-c", CONVERTER, str(llama_cpp), str(checkpoint)]
        subprocess.run([*command, "--outtype", "f32", "--outfile", str(target)], check=True)


def adapt(model: Tiny, vocab: int) -> tuple[peft.PeftModel, list[str]]:
    """Return the base with random LoRA weights on every linear module, and the kinds of these."""
    base = build_tiny(model, vocab)
    kinds = linear_modules(base, tied=bool(model.settings.get("tie_word_embeddings")))
    kinds = [kind for kind in kinds if kind not in SKIPPED.get(model.name, ())]
    settings = peft.LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=kinds, exclude_modules=EYES, task_type="CAUSAL_LM"
    )
    trained = peft.get_peft_model(base, settings)
    generator = torch.Generator().manual_seed(sum(model.name.encode()) + 1)
    with torch.no_grad():
        for name, weight in trained.named_parameters():
            if ".lora_" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * CALM.get(model.name, NOISE))
    return trained.eval(), kinds


def adapt_experts(model: Tiny, vocab: int) -> peft.PeftModel:
    """Return the base with random LoRA weights on the two parameters of all routed experts."""
    settings = peft.LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=[], target_parameters=ROUTED, task_type="CAUSAL_LM"
    )
    trained = peft.get_peft_model(build_tiny(model, vocab), settings)
    generator = torch.Generator().manual_seed(sum(model.name.encode()) + 2)
    with torch.no_grad():
        for name, weight in trained.named_parameters():
            if ".lora_" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * CALM.get(model.name, NOISE))
    return trained.eval()


def ask_alone(trained: peft.PeftModel, kind: str, tokens: torch.Tensor) -> record.Array:
    """Return the logits where only modules of one kind adapt; all of them for an empty kind."""
    layers = [
        (name, each) for name, each in trained.named_modules() if isinstance(each, peft.tuners.lora.LoraLayer)
    ]
    scales = [dict(each.scaling) for _, each in layers]
    for name, each in layers:
        if kind and name.rpartition(".")[2] != kind:
            each.scaling["default"] = 0.0
    found = record.logits(trained, tokens)
    for (_, each), scale in zip(layers, scales, strict=True):
        each.scaling.update(scale)
    return found


def record_row(model: Tiny, vocab: int, llama_cpp: Path) -> None:
    """Record the base, the adapter and the logits of one row."""
    folder, tokens = OUT / model.name, tiny_tokens(vocab)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_base(model, vocab, llama_cpp, folder / "base.gguf")
    trained, kinds = adapt(model, vocab)
    trained.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink()
    record._sort_targets(folder / "adapter_config.json")
    (folder / "class.json").write_text(json.dumps({"class": model.model.__name__}) + "\n", "utf-8")
    found = {kind: ask_alone(trained, kind, tokens) for kind in kinds}
    if model.name in MIXTURES:
        routed = adapt_experts(model, vocab)
        routed.save_pretrained(folder / "experts", save_embedding_layers=False)
        (folder / "experts" / "README.md").unlink()
        record._sort_targets(folder / "experts" / "adapter_config.json")
        found["experts"] = record.logits(routed, tokens)
    base = record.logits(build_tiny(model, vocab), tokens)
    everything = ask_alone(trained, "", tokens)
    np.savez_compressed(
        folder / "logits.npz", tokens=tokens.numpy().astype(np.int32), base=base, all=everything, **found
    )


def main() -> None:
    """Record the rows that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="rows to record; all if none is named")
    names = parser.parse_args().names
    llama_cpp = fetch_llama_source(ROOT / ".cache")
    torch.set_num_threads(1)
    vocab = vocabulary()
    for model in TINY:
        if not names or model.name in names:
            record_row(model, vocab, llama_cpp)


if __name__ == "__main__":
    main()
