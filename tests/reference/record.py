"""Record what PEFT computes: tiny random models, LoRA on every linear module, logits.

Run by ``make reference`` in an environment of its own, with torch, transformers, peft and
sentencepiece; the versions used are in the README beside the records. The base is brought to GGUF
by llama.cpp's own converter, so its row orders are llama.cpp's and not ours.

The truth is what PEFT gives for the adapter it has saved and loaded again, in float32.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import numpy.typing as npt
import peft
import sentencepiece
import torch
import transformers
from archive import GOLDENS, SUFFIX, recording
from llama_source import ROOT, fetch_llama_source

Array = npt.NDArray[Any]

TOKENS = 12
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
TEXT = (
    "The Analytical Engine weaves algebraical patterns just as the Jacquard loom weaves flowers and leaves.",
    "It can do whatever we know how to order it to perform.",
)
README = """# What PEFT computes

Made by `tests/reference/record.py` (`make reference`), and by nothing else: random weights from fixed
seeds, a tokenizer trained on two sentences in the script. Nothing here comes from a published model;
the licence is that of the project, Apache-2.0.

One archive a model, which `tests/reference/archive.py` unpacks. In it are `base.gguf` (float32, by
llama.cpp's `convert_hf_to_gguf.py`), `adapters/CASE/` as PEFT saved it (without its model card), and
`logits.npz`: `tokens` (ids), `base` and one array a case, each tokens × vocabulary in float32.

Recorded with {versions}.
"""


@dataclass(frozen=True)
class Model:
    """A tiny architecture: 4 heads, 2 key-value heads, head_dim ≥ 6, and heads · head_dim ≠ hidden.

    With four rows a head, llama.cpp's order would be its own inverse, and a backwards mapping pass.
    Only Qwen2 is square: llama.cpp's graph of it demands heads · head_dim = hidden.
    """

    name: str
    config: type[transformers.PretrainedConfig]
    model: type[transformers.PreTrainedModel]
    hidden: int
    head_dim: int
    feed_forward: int
    tied: bool = False


@dataclass(frozen=True)
class Case:
    """One adapter: which modules, and how they are scaled and stored."""

    name: str
    modules: tuple[str, ...]
    rank: int
    alpha: float
    dtype: torch.dtype = torch.float32
    more: dict[str, Any] = field(default_factory=dict)


MODELS = (
    Model("llama", transformers.LlamaConfig, transformers.LlamaForCausalLM, 24, 8, 40),
    Model("llama-tied", transformers.LlamaConfig, transformers.LlamaForCausalLM, 24, 8, 40, tied=True),
    Model("mistral", transformers.MistralConfig, transformers.MistralForCausalLM, 28, 10, 36),
    Model("qwen2", transformers.Qwen2Config, transformers.Qwen2ForCausalLM, 24, 6, 44),
)
PATTERNS = {
    "rank_pattern": {"k_proj": 2, "layers.1.mlp.down_proj": 5},
    "alpha_pattern": {"q_proj": 7, "layers.0.mlp.up_proj": 2},
}


def cases(model: Model) -> tuple[Case, ...]:
    """Return the adapters recorded for a model; each module also by itself, so that none can hide."""
    every = LINEAR if model.tied else (*LINEAR, "lm_head")
    alone = tuple(
        Case(module, (module,), rank=2 + index % 3, alpha=3 + index) for index, module in enumerate(every)
    )
    return (
        *alone,
        Case("all-f32", every, rank=4, alpha=6),
        Case("all-bf16", every, rank=3, alpha=8, dtype=torch.bfloat16),
        Case("rslora", every, rank=4, alpha=3, more={"use_rslora": True}),
        Case("patterns", every, rank=3, alpha=4, more=PATTERNS),
    )


def tokenizer_model() -> bytes:
    """Return a sentencepiece model of about a hundred pieces."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT),
        model_writer=written,
        vocab_size=80,
        model_type="bpe",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return written.getvalue()


def build(model: Model, vocab: int) -> transformers.PreTrainedModel:
    """Return the model with random weights, large enough that attention is far from uniform."""
    config = model.config(
        hidden_size=model.hidden,
        head_dim=model.head_dim,
        intermediate_size=model.feed_forward,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=vocab,
        max_position_embeddings=64,
        tie_word_embeddings=model.tied,
        pad_token_id=None,
    )
    if hasattr(config, "sliding_window"):
        config.sliding_window = None
    built = model.model(config).float().eval()
    generator = torch.Generator().manual_seed(sum(model.name.encode()))
    with torch.no_grad():
        for name, weight in built.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if "norm" in name:
                weight.copy_(1 + 0.1 * noise)
            elif name.endswith("bias") or "embed" in name:
                weight.copy_(0.5 * noise)
            else:
                weight.copy_(1.5 * noise / weight.shape[1] ** 0.5)
    built.name_or_path = built.config.name_or_path = f"ollama-pack/tiny-{model.name}"
    return built


def logits(model: torch.nn.Module, tokens: torch.Tensor) -> Array:
    """Return tokens × vocabulary, in float32."""
    with torch.no_grad():
        found: Array = model(tokens[None]).logits[0].float().numpy().copy()
    return found


def record_case(model: Model, vocab: int, case: Case, folder: Path, tokens: torch.Tensor) -> Array:
    """Save an adapter with PEFT, load it again onto a fresh base, and return what it computes."""
    settings = peft.LoraConfig(
        r=case.rank,
        lora_alpha=case.alpha,
        target_modules=sorted(case.modules),
        task_type="CAUSAL_LM",
        **case.more,
    )
    trained = peft.get_peft_model(build(model, vocab), settings)
    generator = torch.Generator().manual_seed(sum((model.name + case.name).encode()))
    with torch.no_grad():
        for name, weight in trained.named_parameters():
            if ".lora_" in name:
                wide = torch.randn(weight.shape, generator=generator) * 0.3
                weight.data = wide.to(case.dtype)
    trained.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink()
    _sort_targets(folder / "adapter_config.json")
    return logits(peft.PeftModel.from_pretrained(build(model, vocab), folder).eval(), tokens)


def _sort_targets(path: Path) -> None:
    """Write the targets in one order: PEFT keeps sets, whose order changes from run to run."""
    config = json.loads(path.read_text("utf-8"))
    for key in ("target_modules", "target_parameters"):
        config[key] = config[key] and sorted(config[key])
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def record_model(model: Model, out: Path, llama_cpp: Path) -> None:
    """Record the base, all its adapters and all their logits."""
    pieces = tokenizer_model()
    vocab = sentencepiece.SentencePieceProcessor(model_proto=pieces).get_piece_size()
    base = build(model, vocab)
    tokens = torch.randint(3, vocab, (TOKENS,), generator=torch.Generator().manual_seed(1))
    with tempfile.TemporaryDirectory() as scratch, recording(out / f"{model.name}{SUFFIX}") as folder:
        checkpoint = Path(scratch) / f"tiny-{model.name}"
        base.save_pretrained(checkpoint)
        (checkpoint / "tokenizer.model").write_bytes(pieces)
        command = [sys.executable, str(llama_cpp / "convert_hf_to_gguf.py"), str(checkpoint)]
        subprocess.run([*command, "--outtype", "f32", "--outfile", str(folder / "base.gguf")], check=True)
        found: dict[str, Any] = {"base": logits(base, tokens)}
        for case in cases(model):
            found[case.name] = record_case(model, vocab, case, folder / "adapters" / case.name, tokens)
        np.savez_compressed(folder / "logits.npz", tokens=tokens.numpy().astype(np.int32), **found)


def main() -> None:
    """Record all models."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llama-cpp", type=Path, help="a llama.cpp source tree; fetched if absent")
    parser.add_argument("--out", type=Path, default=GOLDENS / "reference")
    arguments = parser.parse_args()
    tree = arguments.llama_cpp or fetch_llama_source(ROOT / ".cache")
    torch.set_num_threads(1)
    for model in MODELS:
        record_model(model, arguments.out, tree)
    versions = ", ".join(f"{room.__name__} {room.__version__}" for room in (torch, transformers, peft))
    (arguments.out / "README.md").write_text(README.format(versions=versions), "utf-8")


if __name__ == "__main__":
    main()
