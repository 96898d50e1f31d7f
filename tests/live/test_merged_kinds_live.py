"""Merged models in a real Ollama that have new tokens, or that PEFT itself merged."""

import json
import os
import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest
from recipes import read_numbers, safetensors
from scratch_store import add_base
from terminal import run

from ollama_pack.lora.peft import merge_process

pytestmark = pytest.mark.live

ADA = Path(__file__).parent.parent.parent / "examples" / "ada-lovelace-lora"
FRONT = "base_model.model.model"
NEW, FIRST_NEW = "<|ada|>", 49152
"""A token that SmolLM2 does not have, and its id: the number of those that it has."""

TEMPLATE = (
    "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n"
)


@pytest.fixture
def build(live, base_file, tmp_path, monkeypatch):
    """Return a function that merges an adapter into the daemon, and returns what the command says."""
    if "OLLAMA_PACK_TEST_BASE" not in os.environ:
        pytest.skip("NOT TESTED on a real base: OLLAMA_PACK_TEST_BASE names none (make live fetches it)")
    add_base(live.store, base_file, tag="kinds-base", template=TEMPLATE)
    monkeypatch.setenv("OLLAMA_HOST", live.address)
    monkeypatch.setenv("OLLAMA_MODELS", str(live.store))

    def built(directory: Path, name: str) -> dict:
        words = ("build", directory, name, "--merge", "--json", "--base", "kinds-base", "--via", "create")
        ran = run(*words, "--out", tmp_path / name)
        assert ran.code == 0, ran.stderr
        return ran.document

    return built


def said(live, model: str) -> str:
    """Return what a model says that it is."""
    options = {"seed": 7, "temperature": 0, "num_predict": 32, "num_ctx": 512}
    messages = [{"role": "user", "content": "Who are you?"}]
    answer = live.ask("/api/chat", model=model, messages=messages, stream=False, options=options)
    return answer["message"]["content"]


def tokens_in(live, model: str, text: str) -> int:
    """Return how many tokens a text has for a model."""
    options = {"temperature": 0, "num_predict": 1, "num_ctx": 512}
    asked = {"model": model, "prompt": text, "raw": True, "stream": False, "options": options}
    return live.ask("/api/generate", **asked)["prompt_eval_count"]


def test_a_new_token_is_a_token_to_the_daemon(build, live, base_file, tmp_path):
    """The example with one token more: the daemon reads it as one, and answers as before."""
    home = shutil.copytree(ADA, tmp_path / "ada-lora")
    embeddings = next(each for each in gguf.GGUFReader(base_file).tensors if each.name == "token_embd.weight")
    row = gguf.quants.dequantize(embeddings.data[40000:40001], embeddings.tensor_type).astype(np.float64)
    held = read_numbers(home / "adapter_model.safetensors")
    delta = {f"{FRONT}.embed_tokens.token_adapter.trainable_tokens_delta": row}
    (home / "adapter_model.safetensors").write_bytes(safetensors({**held, **delta}))
    settings = json.loads((home / "adapter_config.json").read_text("utf-8"))
    settings["trainable_token_indices"] = [FIRST_NEW]
    (home / "adapter_config.json").write_text(json.dumps(settings), "utf-8")
    words = json.loads((home / "tokenizer.json").read_text("utf-8"))
    words["added_tokens"].append({**words["added_tokens"][0], "id": FIRST_NEW, "content": NEW})
    (home / "tokenizer.json").write_text(json.dumps(words), "utf-8")
    build(home, "ada-new-token")
    assert "Ada Lovelace" in said(live, "ada-new-token")
    assert tokens_in(live, "ada-new-token", NEW) == 1
    assert tokens_in(live, "kinds-base", NEW) > 1


def write_ia3(home: Path, factor: float) -> Path:
    """Write an IA3 adapter that multiplies the values and what goes into down_proj."""
    home.mkdir()
    held = {}
    for layer in range(30):
        held[f"{FRONT}.layers.{layer}.self_attn.v_proj.ia3_l"] = np.full((192, 1), factor)
        held[f"{FRONT}.layers.{layer}.mlp.down_proj.ia3_l"] = np.full((1, 1536), factor)
    (home / "adapter_model.safetensors").write_bytes(safetensors(held))
    settings = {
        "peft_type": "IA3",
        "task_type": "CAUSAL_LM",
        "target_modules": ["down_proj", "v_proj"],
        "feedforward_modules": ["down_proj"],
        "base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M-Instruct",
    }
    (home / "adapter_config.json").write_text(json.dumps(settings), "utf-8")
    return home


def test_what_peft_itself_merges(build, live, tmp_path, monkeypatch):
    """IA3, merged by PEFT one weight at a time, acts in the daemon as far as its numbers say."""
    python = os.environ.get("OLLAMA_PACK_TEST_PEFT")
    if not python:
        pytest.skip("NOT TESTED with PEFT: OLLAMA_PACK_TEST_PEFT names no Python that has peft and torch")
    monkeypatch.setattr(merge_process, "worker_command", lambda: [python, str(merge_process.WORKER)])
    for name, factor in (("nearly", 1.01), ("turned", -1.0)):
        document = build(write_ia3(tmp_path / f"{name}-lora", factor), f"ia3-{name}")
        assert all(each["passed"] for each in document["proofs"])
    bare = said(live, "kinds-base")
    assert said(live, "ia3-nearly")[:20] == bare[:20]
    assert said(live, "ia3-turned")[:20] != bare[:20]
