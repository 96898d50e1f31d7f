"""Record what PEFT computes for each row of the table: a tiny random model, LoRA on every linear module.

Run in the environment of ``record.py``. One adapter a row has all modules; PEFT's logits are recorded for all
of them together, and for each kind of module by itself, the scale of all others being zero, so that one wrong
module cannot hide. The base is brought to GGUF by llama.cpp's own converter.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import peft
import record
import torch
import transformers
from archive import archive_of, recording
from archs_mixtures import ATTENTION_MLA, GATED, MIXED, MIXTURES
from archs_models import TINY
from kinds_models import CONVERTER, Tiny, build_tiny, tiny_tokens, vocabulary
from llama_source import ROOT, fetch_llama_source, pinned_version

KIND = "archs-reference"
EYES = r".*visual.*"
RANK, ALPHA, NOISE = 3, 6, 0.3

SKIPPED = {
    "jamba": frozenset({"dt_proj"}),
    "mamba": frozenset({"dt_proj", "out_proj"}),
    "falcon-mamba": frozenset({"dt_proj", "out_proj"}),
    **dict.fromkeys(("mamba2", "falcon-h1", "nemotron_h", "nemotron_h_moe"), frozenset({"out_proj"})),
    "gemma3n": frozenset({"0", "1", "2", "per_layer_model_projection", "modality_router"}),
    "gemma4": frozenset({"per_layer_model_projection"}),
    "llama4": frozenset({"router"}),
    "glm4moelite": GATED | ATTENTION_MLA,
    "deepseek3": GATED | ATTENTION_MLA,
    **dict.fromkeys(("glm4moe", "ernie4_5-moe", "hunyuan-moe", "exaone-moe", "afmoe", "dots1"), GATED),
}
"""Row → kinds of modules that are not recorded: torch uses the weight of dt_proj without LoRA; PEFT refuses
the out_proj of Mamba, takes the names of a dense block for the parameters of experts, and cannot wrap the
router of Llama 4; llama.cpp multiplies the rest without LoRA."""

UNKNOWN = frozenset({"qwen3next"})
"""Rows whose class PEFT must not know: it would take the names of a shared expert for those of the routed."""

CALM = {"lfm2moe": 0.1}
"""Row → how far training has moved its weights, where more would make float16 choose other experts."""


def linear_modules(model: torch.nn.Module, *, tied: bool) -> list[str]:
    """Return the last parts of the names of all linear modules; a head that is the embeddings is left out."""
    found = {
        name.rpartition(".")[2]
        for name, each in model.named_modules()
        if isinstance(each, torch.nn.Linear | transformers.pytorch_utils.Conv1D) and "visual" not in name
    }
    return sorted(found - ({"lm_head", "embed_out"} if tied else set()))


def write_base(model: Tiny, vocab: int, llama_cpp: Path, folder: Path) -> None:
    """Bring the base to GGUF, with the keys that the converter reads and transformers no longer writes."""
    target = folder / "base.gguf"
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch) / f"tiny-{model.name}"
        build_tiny(model, vocab).save_pretrained(checkpoint)
        (checkpoint / "tokenizer.model").write_bytes(record.tokenizer_model())
        path = checkpoint / "config.json"
        config = {**json.loads(path.read_text("utf-8")), **model.written}
        path.write_text(json.dumps(config, indent=2), "utf-8")
        (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
        command = [sys.executable, str(CONVERTER), str(llama_cpp), str(checkpoint)]
        subprocess.run([*command, "--outtype", "f32", "--outfile", str(target)], check=True)


def adapt(model: Tiny, vocab: int) -> tuple[peft.PeftModel, list[str]]:
    """Return the base with random LoRA weights on every linear module, and the kinds of these."""
    base = build_tiny(model, vocab)
    if model.name in UNKNOWN:
        base.config.model_type = model.name
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
    """Return the base with random LoRA weights on the parameters of its mixtures."""
    settings = peft.LoraConfig(
        r=RANK,
        lora_alpha=ALPHA,
        target_modules=[],
        target_parameters=MIXTURES[model.name],
        task_type="CAUSAL_LM",
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


def write_class(folder: Path, name: str, **versions: str) -> None:
    """Write which class a record is of, when it was made, and with what; llama.cpp is that of the tests."""
    facts = {"class": name, "recorded": datetime.now(UTC).date().isoformat(), **versions}
    facts["llama-cpp-python"] = pinned_version()
    (folder / "class.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


def record_row(model: Tiny, vocab: int, llama_cpp: Path, folder: Path) -> None:
    """Record the base, the adapter and the logits of one row in an empty folder."""
    tokens = tiny_tokens(vocab)
    write_base(model, vocab, llama_cpp, folder)
    trained, kinds = adapt(model, vocab)
    trained.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink()
    record._sort_targets(folder / "adapter_config.json")
    write_class(folder, model.model.__name__, peft=peft.__version__, transformers=transformers.__version__)
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
    for model in (*TINY, *MIXED):
        if not names or model.name in names:
            with recording(archive_of(KIND, model.name)) as folder:
                record_row(model, vocab, llama_cpp, folder)


if __name__ == "__main__":
    main()
