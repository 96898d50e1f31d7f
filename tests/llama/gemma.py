"""Gemma 3 270M, if it was fetched, and an adapter of random numbers for it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

BLOCKS = 18
SIZES = {"q_proj": (640, 1024), "v_proj": (640, 256), "gate_proj": (640, 2048), "down_proj": (2048, 640)}
"""Module → number of its inputs and outputs."""

RANK = 4
STRENGTH = 0.05
"""Strong enough to change every answer."""


def gemma_file() -> Path:
    """Return the model, or skip the test and say loudly why."""
    named = os.environ.get("OLLAMA_PACK_TEST_GEMMA", "")
    if not named:
        pytest.skip("NOT TESTED on Gemma: OLLAMA_PACK_TEST_GEMMA names no file (make live fetches it)")
    return Path(named).resolve()


def write_gemma_adapter(directory: Path) -> Path:
    """Write an adapter whose numbers are always the same."""
    numbers, tensors = np.random.default_rng(7), {}
    for block in range(BLOCKS):
        for module, (inputs, outputs) in SIZES.items():
            part = "self_attn" if module in ("q_proj", "v_proj") else "mlp"
            name = f"base_model.model.model.layers.{block}.{part}.{module}"
            for factor, shape in (("A", (RANK, inputs)), ("B", (outputs, RANK))):
                values = numbers.standard_normal(shape).astype(np.float32) * np.float32(STRENGTH)
                tensors[f"{name}.lora_{factor}.weight"] = values
    directory.mkdir()
    save_file(tensors, directory / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "google/gemma-3-270m",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "target_modules": list(SIZES),
    }
    (directory / "adapter_config.json").write_text(json.dumps(config))
    return directory
