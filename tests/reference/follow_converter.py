"""Follow the way out of a base without an Ollama model: download, llama.cpp's converter, build.

    .venv-reference/bin/python tests/reference/follow_converter.py

A tiny model is trained on with PEFT, and a build of it is refused, because no Ollama model of it is known.
The commands of the message are run by a shell as they stand; only ``hf download`` is a stand-in that copies
the model. It fails unless the last command builds and proves the base.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import peft
import torch
from llama_source import ROOT, fetch_llama_source
from record import tokenizer_model
from transformers import LlamaConfig, LlamaForCausalLM

BASE_ID = "ada-inc/tiny-babbage"
SIZES = {
    "vocab_size": 80,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def train(folder: Path) -> tuple[Path, Path]:
    """Save a base as its authors publish it, and an adapter that names it; return both directories."""
    torch.manual_seed(1)
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    model.save_pretrained(folder / "published")
    (folder / "published" / "tokenizer.model").write_bytes(tokenizer_model())
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=["q_proj", "up_proj"]))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.copy_(torch.randn_like(weight) * 0.3)
    adapted.peft_config["default"].base_model_name_or_path = BASE_ID
    adapted.save_pretrained(folder / "ada-lora")
    return folder / "published", folder / "ada-lora"


def remember(published: Path, cache: Path) -> None:
    """Leave in Hugging Face's cache what training leaves there of the base."""
    home = cache / f"models--{BASE_ID.replace('/', '--')}"
    snapshot = home / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("a" * 40)
    (snapshot / "config.json").write_bytes((published / "config.json").read_bytes())


def programs(folder: Path, published: Path) -> Path:
    """Return a directory with this Python, this package, and a download that copies the published model."""
    scripts = {
        "python": f'exec {sys.executable} "$@"',
        "ollama-pack": f'exec {sys.executable} -m ollama_pack "$@"',
        "hf": f'[ "$1 $2 $3" = "download {BASE_ID} --local-dir" ] && cp -r {published} "$4"',
    }
    tools = folder / "tools"
    tools.mkdir()
    for name, script in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    return tools


def main() -> None:
    """Follow the commands of the message, and require that the last one builds on what they made."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        published, adapter = train(folder)
        remember(published, folder / "hub")
        (folder / "llama.cpp").symlink_to(fetch_llama_source(ROOT / ".cache"))
        environment = {
            **os.environ,
            "HF_HUB_CACHE": str(folder / "hub"),
            "HOME": scratch,
            "OLLAMA_HOST": "",
            "OLLAMA_MODELS": str(folder / "models"),
            "PATH": f"{programs(folder, published)}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }
        build = ["ollama-pack", "build", adapter.name, "--via", "store", "--json"]
        usual = {"cwd": folder, "env": environment, "text": True, "check": False}
        refused = subprocess.run(build, stdout=subprocess.PIPE, **usual)
        error = json.loads(refused.stdout)
        assert error.get("code") == "no-tag", error
        commands = [line.strip() for line in error["try"].splitlines()][:3]
        followed = subprocess.run(["sh", "-ec", "\n".join(commands)], stderr=subprocess.PIPE, **usual)
    good = followed.returncode == 0 and "base proved" in followed.stderr
    sys.stdout.write(f"converter: {'the base is built on' if good else followed.stderr}\n")
    sys.exit(not good)


if __name__ == "__main__":
    main()
