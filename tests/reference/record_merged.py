"""Record what PEFT computes with trained norms and DoRA, for the families whose norms a merge knows.

Run by ``make reference`` in the environment of ``record.py``. The bases are those of ``record_archs.py``; an
archive has the adapter as PEFT saved it, and the logits. Names on the command line select rows.
"""

import argparse
import os

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import peft
import record
import torch
from archive import archive_of, recording
from archs_models import TINY, Tiny
from record_archs import ALPHA, NOISE, RANK, SKIPPED, build_tiny, linear_modules, tiny_tokens, vocabulary

KIND = "merged"
ROWS = (
    *("llama", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "olmo2", "granite", "smollm3", "mistral3"),
    *("gemma", "gemma2", "gemma3", "nemotron", "stablelm", "starcoder2", "gpt2", "phi2", "gptneox"),
)
"""The rows that are recorded."""

SPREAD = 0.3
"""How far lengths and norms go from what the base has."""

NORM_ENDINGS = ("norm", "ln_1", "ln_2", "ln_f")
"""How the names of norms end."""


def train(model: Tiny, vocab: int) -> peft.PeftModel:
    """Return the base with random DoRA on some modules, and with random norms."""
    base = build_tiny(model, vocab)
    last = {name.rpartition(".")[2] for name, _ in base.named_modules()}
    kinds = linear_modules(base, tied=bool(model.settings.get("tie_word_embeddings")))
    outside = (*SKIPPED.get(model.name, ()), "lm_head", "embed_out")
    settings = peft.LoraConfig(
        r=RANK,
        lora_alpha=ALPHA,
        target_modules=[kind for kind in kinds if kind not in outside][:4],
        modules_to_save=sorted(name for name in last if name.endswith(NORM_ENDINGS)),
        use_dora=True,
        task_type="CAUSAL_LM",
    )
    trained = peft.get_peft_model(base, settings)
    generator = torch.Generator().manual_seed(sum(model.name.encode()) + 3)
    with torch.no_grad():
        for name, weight in trained.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if ".lora_magnitude" in name:
                weight.mul_(1 + SPREAD * noise.abs())
            elif ".lora_" in name:
                weight.copy_(noise * NOISE)
            elif "modules_to_save" in name:
                weight.add_(noise * SPREAD)
    return trained.eval()


def main() -> None:
    """Record the rows that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="rows to record; all if none is named")
    names = parser.parse_args().names or ROWS
    torch.set_num_threads(1)
    vocab = vocabulary()
    for model in TINY:
        if model.name in names:
            with recording(archive_of(KIND, model.name)) as folder:
                tokens, trained = tiny_tokens(vocab), train(model, vocab)
                trained.save_pretrained(folder, save_embedding_layers=False)
                (folder / "README.md").unlink()
                record._sort_targets(folder / "adapter_config.json")
                base = record.logits(build_tiny(model, vocab), tokens)
                arrays = {"tokens": tokens.numpy().astype(np.int32), "base": base}
                np.savez_compressed(folder / "logits.npz", **arrays, all=record.logits(trained, tokens))


if __name__ == "__main__":
    main()
