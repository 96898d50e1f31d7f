"""A base that only a real daemon can read: the daemon sends it, and the merged model answers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from proxy import before
from scratch_store import add_base

pytestmark = pytest.mark.live

ADA = Path(__file__).parent.parent.parent / "examples" / "ada-lovelace-lora"
TEMPLATE = (
    "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n"
)


def test_a_store_that_nobody_else_sees(live, base_file, tmp_path):
    """The base is merged into all the same, its prompt comes along, nothing is left, and it runs as Ada."""
    if "OLLAMA_PACK_TEST_BASE" not in os.environ:
        pytest.skip("NOT TESTED on a real base: OLLAMA_PACK_TEST_BASE names none (make live fetches it)")
    add_base(live.store, base_file, tag="lent-base", template=TEMPLATE)
    before_it = {model.name for model in live.daemon.models()}
    with before(live.address, hides=str(live.store)) as address:
        command = [sys.executable, "-m", "ollama_pack", "build", ADA, "ada-lent", "--merge", "--json"]
        ran = subprocess.run(
            [*command, "--base", "lent-base", "--out", tmp_path / "out"],
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
            env={**os.environ, "OLLAMA_HOST": address, "HOME": str(tmp_path)},
        )
    assert ran.returncode == 0, ran.stderr
    assert "can read the weights of lent-base" in ran.stderr
    document = json.loads(ran.stdout)
    assert (document["base"]["gguf"], document["delivery"]["via"]) == ("", "pull")
    made = ["Modelfile.txt", "merged_model.gguf", "ollama-pack.lock"]
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == made
    assert {model.name for model in live.daemon.models()} == before_it | {"ada-lent:latest"}
    options = {"seed": 7, "temperature": 0, "num_predict": 48, "num_ctx": 512}
    messages = [{"role": "user", "content": "Who are you?"}]
    answer = live.ask("/api/chat", model="ada-lent", messages=messages, stream=False, options=options)
    assert "Ada Lovelace" in answer["message"]["content"]
