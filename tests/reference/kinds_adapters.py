"""How one adapter is made and recorded: PEFT saves it, loads it onto a fresh base, and computes."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import torch
from kinds_models import Base
from record import Array
from safetensors.torch import load_file, save_file

Arrays = dict[str, Array]
Case = Callable[[Base, Path], Arrays]
"""Writes an adapter into a folder, whose name is the case's, and returns what PEFT computes with it."""
Tensors = dict[str, torch.Tensor]
Change = Callable[[peft.PeftModel], None]

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
GONE = ...
"""Stands for a key that is taken out of a config."""
ORDERLESS = ("target_modules", "target_parameters", "exclude_modules", "feedforward_modules")


def seed(base: Base, case: str) -> None:
    """Make all that is random in a case its own, and the same in every run."""
    torch.manual_seed(zlib.crc32(f"{base.name}/{case}".encode()))


def stir(model: torch.nn.Module, noise: float) -> None:
    """Move every trainable weight at random, as training would: no factor stays at its beginning."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(noise * torch.randn_like(weight))


def trained(base: Base, config: peft.PeftConfig, name: str = "default") -> peft.PeftModel:
    """Return a base with one adapter, whose weights are random."""
    model = peft.get_peft_model(base.build(), config, adapter_name=name)
    stir(model, base.noise)
    return model


def save(model: peft.PeftModel, folder: Path, **how: Any) -> None:
    """Save as PEFT does, but for the model cards and the order of what PEFT keeps in sets."""
    model.save_pretrained(folder, **how)
    tidy(folder)


def tidy(folder: Path) -> None:
    """Remove model cards, and write every config in one order."""
    for card in folder.rglob("README.md"):
        card.unlink()
    for config in folder.rglob(CONFIG):
        edit_config(config.parent)


def edit_config(folder: Path, **changes: Any) -> None:
    """Write keys into a config; a set's members in alphabetical order."""
    path = folder / CONFIG
    config = {**json.loads(path.read_text("utf-8")), **changes}
    config = {key: value for key, value in config.items() if value is not GONE}
    for key in ORDERLESS:
        if isinstance(config.get(key), list):
            config[key] = sorted(config[key])
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def edit_tensors(folder: Path, change: Callable[[Tensors], Tensors]) -> None:
    """Replace the tensors of a saved adapter."""
    path = folder / WEIGHTS
    held = {key: tensor.contiguous() for key, tensor in change(load_file(path)).items()}
    save_file(held, path, metadata={"format": "pt"})


def loaded(base: Base, folder: Path) -> peft.PeftModel:
    """Return a fresh base with a saved adapter on it."""
    return peft.PeftModel.from_pretrained(base.build(), folder).eval()


def recorded(base: Base, folder: Path) -> Arrays:
    """Return what PEFT computes with the adapter that lies in a folder."""
    return {folder.name: base.ask(loaded(base, folder))}


def adapted(make: Callable[[], peft.PeftConfig], change: Change | None = None, **how: Any) -> Case:
    """Return a case that PEFT saves by itself; a change is made to the model before it is saved."""

    def case(base: Base, folder: Path) -> Arrays:
        model = trained(base, make())
        if change is not None:
            change(model)
        save(model, folder, **how)
        return recorded(base, folder)

    return case


def lora(change: Change | None = None, how: dict[str, Any] | None = None, **settings: Any) -> Case:
    """Return a case of plain LoRA with some settings of its own."""
    return adapted(lambda: lora_config(**settings), change, **(how or {}))


def lora_config(**settings: Any) -> peft.LoraConfig:
    """Return the settings of the plain adapter, with some of its own."""
    usual = {"r": 3, "lora_alpha": 4, "target_modules": ["down_proj", "q_proj", "v_proj"]}
    return peft.LoraConfig(task_type="CAUSAL_LM", **{**usual, **settings})


def edited(
    case: Case,
    tensors: Callable[[Tensors], Tensors] | None = None,
    config: dict[str, Any] | None = None,
    truth: bool = True,
) -> Case:
    """Return a case whose files are changed after PEFT wrote them; what it meant stays true or is lost."""

    def make(base: Base, folder: Path) -> Arrays:
        found = case(base, folder)
        if tensors is not None:
            edit_tensors(folder, tensors)
        if config is not None:
            edit_config(folder, **config)
        return found if truth else {}

    return make


def renamed(case: Case, name: Callable[[str], str]) -> Case:
    """Return a case whose keys are spelt as another tool spells them."""
    return edited(case, lambda tensors: {name(key): tensor for key, tensor in tensors.items()})
