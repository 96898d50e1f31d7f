"""What `try` leaves in its own process: no memory, no process, no thread, no open file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recipes import write_model

ROOT = Path(__file__).parents[2]
STAND_IN = ROOT / "tests" / "engine" / "stand_in"
ROUNDS = 6
GROWTH = 4 << 20
"""Bytes that may stay: a pool of Python's own, not a model of 16 MB."""

PROGRAM = """
import contextlib, gc, io, json, os, sys, threading
from ollama_pack.cli.app import main

def state():
    gc.collect()
    with open("/proc/self/statm") as file:
        memory = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        children = len(file.read().split())
    return memory, children, len(os.listdir("/proc/self/fd"))

def talk():
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        main(["try", *sys.argv[1:], "Who are you?", "--json"], standalone_mode=False)

talk()  # what is imported stays
before = state()
for _ in range(ROUNDS):
    talk()
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(timeout=10)
print(json.dumps([before, state(), threading.active_count()]))
""".replace("ROUNDS", str(ROUNDS))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="NOT TESTED: only Linux tells all of it")
def test_nothing_stays(make_adapter, tmp_path):
    """After several trials of a model of 16 MB in one process, it is what it was after the first."""
    base = write_model(tmp_path / "base.gguf")
    with base.open("ab") as file:
        file.write(bytes(16 << 20))
    paths = os.pathsep.join((str(ROOT), str(STAND_IN)))
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(make_adapter()), "--base", str(base)],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    (memory, children, files), (memory_after, children_after, files_after), threads = json.loads(ran.stdout)
    assert memory_after - memory < GROWTH
    assert (children, children_after, threads) == (0, 0, 1)
    assert files_after == files
