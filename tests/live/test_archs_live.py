"""Every recorded architecture in the llama.cpp that an installed Ollama brings along.

Its runner is started on the recorded base with the adapters made for it, and asked for the probabilities of
the next token, which must be PEFT's.
"""

import contextlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
import real_daemon
from archive import names_of, unpacked
from recipes import resized

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.base.hf_config import read_config
from ollama_pack.lora.export import write_lora
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.planner import plan_lora
from ollama_pack.ollama.versions import ABORTING

RECORDS = "archs-reference"
ROWS = names_of(RECORDS)
LIMIT, SECONDS = 0.02, 60

pytestmark = pytest.mark.live


def runner() -> Path:
    """Return the llama-server of the Ollama under test."""
    found = Path(real_daemon.find_ollama()).resolve().parent.parent / "lib" / "ollama" / "llama-server"
    if not found.is_file():
        pytest.skip("NOT TESTED in Ollama's llama.cpp: this Ollama has no llama-server beside it")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(base: Path, loras: list[Path], log: Path) -> Iterator[str]:
    """Start the runner with adapters that act when a request says so; yield its address."""
    port = free_port()
    command = [runner(), "-m", base, "--port", str(port), "--host", "127.0.0.1", "-c", "256", "-np", "1"]
    for path in loras:
        command += ["--lora", path]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--lora-init-without-apply"],
            stdout=out,
            stderr=out,
            env=os.environ | {"OLLAMA_LLAMA_CPP_COMPAT": "0"},  # the bases are in llama.cpp's own form
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(SECONDS * 20):
            if process.poll() is not None:
                said = log.read_text(errors="replace")
                if why := re.search(r"error loading model: (.*)", said):
                    pytest.skip(f"NOT TESTED: this Ollama does not load the recorded base: {why[1]}")
                pytest.fail(f"it ended: {said[-1500:]}")
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{address}/health", trust_env=False).is_success:
                    break
            time.sleep(0.05)
        yield address
    finally:
        process.kill()
        process.wait()


def next_token(address: str, tokens: list[int], scales: list[float]) -> np.ndarray:
    """Return the logarithm of the probability of each token of the vocabulary, in float64."""
    asked = {
        "prompt": tokens,
        "n_predict": 1,
        "n_probs": 200,
        "temperature": 0,
        "cache_prompt": False,
        "lora": [{"id": place, "scale": scale} for place, scale in enumerate(scales)],
    }
    answer = httpx.post(f"{address}/completion", json=asked, timeout=SECONDS, trust_env=False)
    assert answer.is_success, answer.text
    chances = answer.json()["completion_probabilities"][0]["top_logprobs"]
    return np.array([each["logprob"] for each in sorted(chances, key=lambda each: each["id"])])


def log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float64)
    return logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()


@pytest.mark.parametrize("row", ROWS)
def test_the_next_token_is_peft_s(row, tmp_path):
    """With all linear modules, with the experts where they are recorded, and with none.

    Where this llama.cpp aborts on some of them (``generations.ABORTING``) it is the queries alone.
    """
    folder = unpacked(RECORDS, row)
    base = read_base_gguf(folder / "base.gguf")
    base = resized(base, multipliers=read_config(folder).base().hparams.multipliers)
    whole = "q_proj" if base.hparams.arch in ABORTING else "all"
    kinds = {whole: folder, **({"experts": folder / "experts"} if (folder / "experts").is_dir() else {})}
    loras = []
    for kind, source in kinds.items():
        adapter = read_adapter(source)
        if kind == "q_proj":
            chosen = [pair for pair in adapter.pairs if pair.module.endswith(kind)]
            adapter = replace(adapter, pairs=tuple(chosen))
        loras.append(tmp_path / f"{kind}.gguf")
        write_lora(plan_lora(adapter, base), loras[-1], "f16")
    with np.load(folder / "logits.npz") as records:
        truth = {kind: log_softmax(records[kind][-1]) for kind in ("base", *kinds)}
        tokens = records["tokens"].tolist()
    with serving(folder / "base.gguf", loras, tmp_path / "log") as address:
        for place, kind in enumerate(("base", *kinds)):
            scales = [1.0 if place == 1 + other else 0.0 for other in range(len(kinds))]
            found = next_token(address, tokens, scales)
            effect = max(np.abs(truth[other] - truth["base"]).max() for other in kinds)
            assert np.abs(found - truth[kind]).max() <= LIMIT * effect, kind
