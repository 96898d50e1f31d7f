"""Record every kind of adapter that PEFT and its neighbours write, and what PEFT computes with it.

Run by ``make reference`` in the environment of ``record.py``. A model's adapters lie as they were
saved; its ``logits.npz`` holds the truth for those that have one. With ``--only``, the other cases
of a model keep what was recorded before.
"""

import argparse
import importlib.metadata
import os
import shutil
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
from archive import BASE, GOLDENS, SUFFIX, lender_of, recording, unpacked
from kinds_adapters import Arrays, Case, seed
from kinds_by_peft import BY_PEFT, BY_PEFT_GPT2, BY_PEFT_PHI, BY_PEFT_QWEN2
from kinds_experts import OTHER_MODELS, QWEN3MOE
from kinds_foreign import FOREIGN, mlx_version
from kinds_lora import LORA
from kinds_methods import METHODS
from kinds_models import TINY, Base, tiny_bases, write_base_gguf
from kinds_refused import REFUSED, REFUSED_QWEN2, REFUSED_TIED
from kinds_smollm2 import SMOLLM2, smollm2_base
from kinds_split import SPLIT, phi_base
from llama_source import ROOT, fetch_llama_source

README = """# What PEFT computes, for every kind of adapter

Made by `tests/reference/record_kinds.py` and `peer_kinds.py` (`make reference`), and by nothing else.
The tiny models have random weights from fixed seeds, and so have the adapters; those of SmolLM2 are random
too, and fit the base HuggingFaceTB/SmolLM2-135M-Instruct, whose licence is Apache-2.0. So is this.

One archive a model, which `tests/reference/archive.py` unpacks. In it is a folder a case: the adapter as it
was saved, without its model card. Some were edited afterwards, to be damaged or spelt as another tool
spells them; `mlx` was trained by mlx-lm itself.

* `base.gguf`: float32, by llama.cpp's `convert_hf_to_gguf.py`. A base that `../reference` or
  `../archs-reference` has under the same name is stored only there. The base of smollm2 is made by
  `tests/reference/smollm2.py`.
* `logits.npz`: `tokens`, `base`, and an array for each case that has a truth, tokens × vocabulary in
  float32. `second-adapter` is the adapter in the folder `style`, `second-adapter-default` the one in the
  root. `alora` has tokens and a base of its own: `tokens:alora`, `base:alora`. smollm2 keeps only the
  vocabulary's `columns`.
* `merged`: the weights of the base, and those that PEFT's `merge_and_unload` changed, for each case that only
  PEFT itself merges.
* `peer.json`: what became of the case in llama.cpp's own `convert_lora_to_gguf.py` and runtime. `miss`
  is the largest difference from the truth, in units of the largest change the adapter makes.

Recorded with {versions}.
"""
NOISE = 1e-5
"""Largest difference of a base's logits from those that `record.py` or `record_archs.py` wrote."""
ROOMS = ("torch", "transformers", "peft", "safetensors")

CASES: dict[str, dict[str, Case]] = {
    "llama": {**LORA, **METHODS, **FOREIGN, **REFUSED, **BY_PEFT},
    "llama-tied": REFUSED_TIED,
    "qwen2": {**REFUSED_QWEN2, **BY_PEFT_QWEN2},
    "qwen3moe": QWEN3MOE,
    **OTHER_MODELS,
    **SPLIT,
    "smollm2": SMOLLM2,
}
for name, more in {"gpt2": BY_PEFT_GPT2, "phimini": BY_PEFT_PHI}.items():
    CASES[name] = {**CASES[name], **more}


def check_base(base: Base, found: np.ndarray) -> None:
    """Stop if a base is not the one of the same name that another kind of records has."""
    with np.load(unpacked(lender_of(base.name), base.name) / "logits.npz") as truth:
        difference = float(np.abs(found - truth["base"]).max())
    if difference > NOISE:
        raise SystemExit(f"The base {base.name} differs from the recorded one by {difference}.")


def record_base(base: Base, folder: Path, llama_cpp: Path) -> Arrays:
    """Record a model without adapters; a GGUF of it only if no other kind of records has one."""
    found = base.ask(base.build())
    if lender_of(base.name):
        check_base(base, found)
    elif base.name in {model.name for model in TINY}:
        write_base_gguf(base, llama_cpp, folder / BASE)
    arrays = {"tokens": base.tokens.numpy().astype(np.int32), "base": found}
    if base.columns is not None:
        arrays["columns"] = base.columns.numpy().astype(np.int32)
    return arrays


def record_model(base: Base, folder: Path, names: set[str], llama_cpp: Path) -> None:
    """Record some cases of a model in a folder, and keep what it has of the others."""
    path = folder / "logits.npz"
    kept: Arrays = {}
    if path.exists():
        with np.load(path) as before:
            kept = {key: before[key] for key in before.files if key.split(":")[-1] not in names}
    kept.update(record_base(base, folder, llama_cpp))
    for name in sorted(names):
        shutil.rmtree(folder / name, ignore_errors=True)
        seed(base, name)
        kept.update(CASES[base.name][name](base, folder / name))
    np.savez_compressed(path, **{key: kept[key] for key in sorted(kept)})


def main() -> None:
    """Record all cases, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="CASE", help="record these cases; all if absent")
    parser.add_argument("--out", type=Path, default=GOLDENS / "kinds")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    llama_cpp = fetch_llama_source(ROOT / ".cache")
    bases = {**tiny_bases(), "phimini": phi_base(), "smollm2": smollm2_base()}
    arguments.out.mkdir(parents=True, exist_ok=True)
    versions = ", ".join(f"{room} {importlib.metadata.version(room)}" for room in ROOMS)
    (arguments.out / "README.md").write_text(
        README.format(versions=f"{versions}, mlx-lm {mlx_version()}"), "utf-8"
    )
    for name, cases in CASES.items():
        asked = set(cases) & set(arguments.only or cases)
        if asked:
            with recording(arguments.out / f"{name}{SUFFIX}", keep=asked != set(cases)) as folder:
                record_model(bases[name], folder, asked, llama_cpp)


if __name__ == "__main__":
    main()
