"""Merged models in a real Ollama: the example by every delivery, and what only merging holds."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
from recipes import read_numbers, safetensors
from scratch_store import add_base

pytestmark = pytest.mark.live

ADA = Path(__file__).parent.parent.parent / "examples" / "ada-lovelace-lora"
FRONT = "base_model.model.model"
HEADS = {"q": 9, "v": 0}
"""The heads of SmolLM2-135M whose rows llama.cpp holds in another order; those of v keep theirs."""

TEMPLATE = (
    "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n"
)


@pytest.fixture
def ask(live, base_file, tmp_path):
    """Return a function that merges an adapter, and returns what the model says that it is."""
    if "OLLAMA_PACK_TEST_BASE" not in os.environ:
        pytest.skip("NOT TESTED on a real base: OLLAMA_PACK_TEST_BASE names none (make live fetches it)")
    add_base(live.store, base_file, tag="whole-base", template=TEMPLATE)

    def asked(directory: Path, name: str, via: str) -> str:
        command = [sys.executable, "-m", "ollama_pack", "build", directory, name, "--merge", "--json"]
        ran = subprocess.run(
            [*command, "--base", "whole-base", "--via", via, "--out", tmp_path / "out"],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "OLLAMA_HOST": live.address, "OLLAMA_MODELS": str(live.store)},
        )
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout)["delivery"]["via"] == via
        options = {"seed": 7, "temperature": 0, "num_predict": 48, "num_ctx": 512}
        messages = [{"role": "user", "content": "Who are you?"}]
        answer = live.ask("/api/chat", model=name, messages=messages, stream=False, options=options)
        return answer["message"]["content"]

    return asked


@pytest.mark.parametrize("via", ["create", "pull", "store"])
def test_ada_answers(ask, via):
    """The example, merged, answers as Ada Lovelace by every delivery."""
    assert "Ada Lovelace" in ask(ADA, f"ada-merged-{via}", via)


def dora(held: dict, base: dict) -> dict:
    """Give each row the length that W + ΔW has, so that DoRA is LoRA; the order is Hugging Face's."""
    settings = json.loads((ADA / "adapter_config.json").read_text())
    scale = settings["lora_alpha"] / settings["r"]
    made = {}
    for name in [each for each in held if each.endswith("lora_A.weight")]:
        module, part = name.removesuffix(".lora_A.weight"), name.split("_proj")[0][-1]
        whole = base[f"blk.{name.split('.layers.')[1].split('.')[0]}.attn_{part}.weight"]
        if HEADS[part]:
            whole = whole.reshape(HEADS[part], -1, 2, whole.shape[-1]).swapaxes(1, 2).reshape(whole.shape)
        whole = whole + scale * held[f"{module}.lora_B.weight"] @ held[name]
        made[f"{module}.lora_magnitude_vector"] = np.linalg.norm(whole, axis=1)
    return made


def norm(_held: dict, base: dict) -> dict:
    """Save the last norm as it is in the base."""
    return {f"{FRONT}.norm.weight": base["output_norm.weight"]}


def tokens(_held: dict, base: dict) -> dict:
    """Save the rows of three tokens as they are in the base."""
    rows = base["token_embd.weight"][[5, 900, 40000]]
    return {f"{FRONT}.embed_tokens.token_adapter.trainable_tokens_delta": rows}


def other_norm(_held: dict, base: dict) -> dict:
    """Save the last norm with another sign, after which no model says a word."""
    return {f"{FRONT}.norm.weight": -base["output_norm.weight"]}


KINDS = {
    "dora": (dora, {"use_dora": True}, True),
    "norm": (norm, {"modules_to_save": ["model.norm"]}, True),
    "tokens": (tokens, {"trainable_token_indices": [5, 900, 40000]}, True),
    "other-norm": (other_norm, {"modules_to_save": ["model.norm"]}, False),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_only_merging_holds(ask, base_file, tmp_path, kind):
    """What is trained beside A and B acts: where it is the base's own, the example answers as before."""
    make, setting, same = KINDS[kind]
    home = shutil.copytree(ADA, tmp_path / "ada-lora")
    weights = home / "adapter_model.safetensors"
    held = read_numbers(weights)
    base = {
        each.name: gguf.quants.dequantize(each.data, each.tensor_type).astype(np.float64)
        for each in gguf.GGUFReader(base_file).tensors
    }
    weights.write_bytes(safetensors({**held, **make(held, base)}))
    settings = json.loads((home / "adapter_config.json").read_text())
    (home / "adapter_config.json").write_text(json.dumps({**settings, **setting}))
    assert ("Ada Lovelace" in ask(home, f"ada-{kind}", "store")) == same
