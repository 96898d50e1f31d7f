"""The directory names of the transformers Trainer: a training run, and ``checkpoint-N`` below it.

The source is ``PREFIX_CHECKPOINT_DIR`` in ``transformers/trainer_utils.py``. Why it is a module of its own:
docs/decisions.md, "Each name that PEFT or the Trainer gives has one place".
"""

import re
from pathlib import Path

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
SHARDS_FILE = "adapter_model.safetensors.index.json"
PICKLE_FILE = "adapter_model.bin"
MLX_FILE = "adapters.safetensors"

_CHECKPOINT = re.compile(r"checkpoint-([0-9]{1,18})", re.IGNORECASE)


def step_of(directory: Path) -> int | None:
    """Return the step of a checkpoint directory, or None if the directory is not a checkpoint."""
    return step_in(directory.name)


def step_in(name: str) -> int | None:
    """Return the step in the name of a checkpoint, ``checkpoint-3`` → 3, or None for any other name."""
    match = _CHECKPOINT.fullmatch(name)
    return int(match[1]) if match else None


def run_of(directory: Path) -> Path | None:
    """Return the training run of a checkpoint directory, or None if the directory is not a checkpoint."""
    named = directory if directory.name not in ("", "..") else directory.resolve()
    return named.parent if step_of(named) is not None else None
