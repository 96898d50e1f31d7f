"""Adapters that other trainers write: mlx-lm, run in an environment of its own, and torchtune.

Neither is PEFT, so the truth is the base with the products added to its weights. torchtune's files are
built here by the rules of its checkpointer (0.6.1): PEFT's names and rows in the safetensors file, its own
in `adapter_model.pt`, and the four keys of a config.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch
from kinds_adapters import CONFIG, WEIGHTS, Arrays, Case
from kinds_lora import PREFIX
from kinds_models import Base, Model, write_checkpoint
from llama_source import ROOT
from record import TEXT
from safetensors.torch import load_file, save_file

MLX = ROOT / ".venv-mlx" / "bin" / "python"
MLX_SETTINGS = {
    "train": True,
    "num_layers": 2,
    "batch_size": 2,
    "iters": 8,
    "val_batches": 1,
    "learning_rate": 0.005,
    "lora_parameters": {"rank": 3, "dropout": 0.0, "scale": 4.0},
}
TORCHTUNE_MODULES = {
    "attn.q_proj": "self_attn.q_proj",
    "attn.k_proj": "self_attn.k_proj",
    "attn.output_proj": "self_attn.o_proj",
    "mlp.w1": "mlp.gate_proj",
    "mlp.w2": "mlp.down_proj",
    "mlp.w3": "mlp.up_proj",
}
RANK, ALPHA = 3, 5


def mlx_version() -> str:
    """Return the version of mlx-lm, which lives in an environment of its own."""
    if not MLX.exists():
        raise SystemExit(f"{MLX.relative_to(ROOT)} is missing; `make reference` brings it.")
    code = "import importlib.metadata as known; print(known.version('mlx-lm'))"
    return subprocess.run([str(MLX), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def train_with_mlx(base: Base, folder: Path) -> None:
    """Let mlx-lm's own command train an adapter for a few steps; its config names no path but these."""
    with tempfile.TemporaryDirectory() as scratch:
        room = Path(scratch)
        model = base.build().name_or_path
        write_checkpoint(base, room / model)
        (room / "data").mkdir()
        for part in ("train", "valid"):
            lines = [json.dumps({"text": text}) for text in TEXT * 4]
            (room / "data" / f"{part}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
        settings = {**MLX_SETTINGS, "model": model, "data": "data", "adapter_path": "adapters"}
        (room / "lora.yaml").write_text(json.dumps(settings), "utf-8")
        command = [str(MLX), "-m", "mlx_lm", "lora", "--config", "lora.yaml"]
        offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
        subprocess.run(command, cwd=room, env=offline, check=True, stdout=subprocess.DEVNULL)
        folder.mkdir(parents=True)
        for name in (CONFIG, "adapters.safetensors"):
            shutil.copyfile(room / "adapters" / name, folder / name)


def add(model: Model, module: str, product: torch.Tensor) -> None:
    """Add a product to a module's weight."""
    with torch.no_grad():
        model.get_submodule(module).weight.add_(product)


def mlx(base: Base, folder: Path) -> Arrays:
    """Train with mlx-lm; its factors are (in, rank) and (rank, out), and the scale is used as it is."""
    train_with_mlx(base, folder)
    scale = json.loads((folder / CONFIG).read_text("utf-8"))["lora_parameters"]["scale"]
    tensors, model = load_file(folder / "adapters.safetensors"), base.build()
    for key, a in tensors.items():
        if key.endswith(".lora_a"):
            module = key.removesuffix(".lora_a")
            add(model, module, scale * (a @ tensors[f"{module}.lora_b"]).T)
    return {folder.name: base.ask(model)}


def torchtune_rows(held: torch.Tensor, heads: int) -> torch.Tensor:
    """Return the rows of a q or k factor in torchtune's order: the halves of a head interleaved."""
    return held.reshape(heads, 2, -1, held.shape[1]).transpose(1, 2).reshape(held.shape)


def torchtune(base: Base, folder: Path) -> Arrays:
    """Write what torchtune's checkpointer leaves of an adapter."""
    model, own, peft_named = base.build(), {}, {}
    heads = {"attn.q_proj": model.config.num_attention_heads, "attn.k_proj": model.config.num_key_value_heads}
    for layer in range(model.config.num_hidden_layers):
        for name, module in TORCHTUNE_MODULES.items():
            path = f"model.layers.{layer}.{module}"
            out, inner = model.get_submodule(path).weight.shape
            a, b = base.noise * torch.randn(RANK, inner), base.noise * torch.randn(out, RANK)
            add(model, path, ALPHA / RANK * b @ a)
            peft_named[f"{PREFIX}{path}.lora_A.weight"], peft_named[f"{PREFIX}{path}.lora_B.weight"] = a, b
            own[f"layers.{layer}.{name}.lora_a.weight"] = a
            own[f"layers.{layer}.{name}.lora_b.weight"] = (
                torchtune_rows(b, heads[name]) if name in heads else b
            )
    config = {
        "r": RANK,
        "lora_alpha": ALPHA,
        "target_modules": [module.split(".")[-1] for module in TORCHTUNE_MODULES.values()],
        "peft_type": "LORA",
        "base_model_name_or_path": model.name_or_path,
    }
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(json.dumps(config), "utf-8")
    save_file(peft_named, folder / WEIGHTS, metadata={"format": "pt"})
    torch.save(own, folder / "adapter_model.pt")
    return {folder.name: base.ask(model)}


FOREIGN: dict[str, Case] = {"mlx": mlx, "torchtune": torchtune}
