"""Ctrl-C in the middle: 130, one sentence, and nothing half-written."""

import subprocess
import sys

import pytest
from interrupting import HANDLED, press_ctrl_c
from terminal import environment, python, tree

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send to one process")

SLOW = f"""
{HANDLED}
import importlib, runpy, sys, time
module, name, wanted = sys.argv.pop(1).split(":")
holder = importlib.import_module(module)
*path, name = name.split(".")
for part in path:
    holder = getattr(holder, part)
honest, calls = getattr(holder, name), []

def slow(*given, **named):
    calls.append(1)
    if len(calls) == int(wanted):
        print("ready", file=sys.stderr, flush=True)
        time.sleep(10)  # where this is a thread, Ctrl-C waits for it
    return honest(*given, **named)

setattr(holder, name, slow)
runpy.run_module("ollama_pack", run_name="__main__")
"""


def interrupted(point, *words):
    """Run a command until it comes to `point`, press Ctrl-C, and return exit code, stdout and stderr."""
    process = subprocess.Popen(
        [*python(SLOW), point, *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    return press_ctrl_c(process, lambda line: line == "ready\n")


def test_while_converting(ada, tiny_gguf, tmp_path):
    """Between two tensors: no file, no draft, no store."""
    before = tree(tmp_path)
    code, stdout, stderr = interrupted(
        "ollama_pack.lora.export:cast_tensor:2", "build", ada, "--base", tiny_gguf
    )
    assert (code, stdout) == (130, ""), stderr
    assert stderr.splitlines()[-1] == "Interrupted. No incomplete file is left."
    assert "Traceback" not in stderr
    assert tree(tmp_path) == before


def test_while_proving(ada, tiny_gguf, tmp_path):
    """In the proof, when the file is whole but has not its name yet: the draft goes."""
    before = tree(tmp_path)
    code, _, stderr = interrupted(
        "ollama_pack.verify.numbers:prove_numbers:1", "build", ada, "--base", tiny_gguf
    )
    assert code == 130, stderr
    assert tree(tmp_path) == before


def test_before_the_manifest(ada, tiny_gguf, models):
    """With all blobs in the store but no manifest: the blobs are taken back, the user's files are whole."""
    point = "ollama_pack.ollama.blob_store:StoreTransaction.write_manifest:1"
    code, stdout, stderr = interrupted(point, "build", ada, "--base", tiny_gguf, "--via", "store")
    assert (code, stdout) == (130, ""), stderr
    assert [path for path in models.rglob("*") if path.is_file()] == []
    assert {"adapter_model.gguf", "Modelfile.txt"} <= tree(ada / "ollama").keys()
    assert not [name for name in tree(ada) if "/." in f"/{name}"]
