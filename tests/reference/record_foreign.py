"""Record how llama.cpp's converter orders the weights of classes whose code is not in transformers.

Run in the environment of ``record.py``. A checkpoint of random weights is written by hand, with the names and
shapes that the class has, and brought to GGUF by llama.cpp's own converter. What the converter did to each
weight is the truth for the row: its own permutation, not ours. Weights are kept as they were
(``weights.safetensors``), beside what became of them (``base.gguf``).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import record
import torch
from archive import archive_of, recording
from foreign_models import models
from foreign_parts import Foreign
from kinds_models import CONVERTER, vocabulary
from llama_source import ROOT, fetch_llama_source
from record_archs import write_class
from safetensors.torch import save_file
from slices import cut, cut_gguf


def weights_of(model: Foreign) -> dict[str, torch.Tensor]:
    """Return random weights, two layers of them."""
    generator = torch.Generator().manual_seed(sum(model.name.encode()))
    layers = enumerate((model.layer, model.second or model.layer))
    shapes = {name.replace("{i}", str(i)): shape for i, layer in layers for name, shape in layer.items()}
    return {
        name: torch.randn(shape, generator=generator).half().float()
        for name, shape in {**shapes, **model.outside}.items()
    }


def record_class(model: Foreign, llama_cpp: Path, folder: Path) -> None:
    """Record one class in an empty folder: its weights, and what the converter made of them."""
    weights = weights_of(model)
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch) / f"tiny-{model.name}"
        checkpoint.mkdir()
        save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
        (checkpoint / "tokenizer.model").write_bytes(record.tokenizer_model())
        config = {"architectures": [model.model], "torch_dtype": "float32", **model.config}
        (checkpoint / "config.json").write_text(json.dumps(config), "utf-8")
        (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
        command = [sys.executable, str(CONVERTER), str(llama_cpp), str(checkpoint)]
        subprocess.run([*command, "--outtype", "f16", "--outfile", str(folder / "base.gguf")], check=True)
    linear = {
        name: weight.half() for name, weight in weights.items() if weight.ndim > 1 and "bias" not in name
    }
    if model.moved_columns is not None:
        module, tensor = model.moved_columns
        linear = {name: cut(weight, rows=module in name).clone() for name, weight in linear.items()}
        cut_gguf(folder / "base.gguf", tensor)
    save_file(linear, folder / "weights.safetensors")
    write_class(folder, model.model)


def main() -> None:
    """Record the classes that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="classes to record; all if none is named")
    names = parser.parse_args().names
    llama_cpp = fetch_llama_source(ROOT / ".cache")
    for model in models(vocabulary()):
        if not names or model.name in names:
            with recording(archive_of("archs-foreign", model.name)) as folder:
                record_class(model, llama_cpp, folder)


if __name__ == "__main__":
    main()
