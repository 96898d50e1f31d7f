"""A merge that is ended half-way: the file of before is whole, or there is none."""

import os
import signal
import subprocess
import sys
import time

import pytest
from recipes import TINY, resized, write_adapter, write_model
from terminal import environment, run

from ollama_pack.disk.files import DRAFT

WIDE = resized(TINY, hidden=512, feed_forward=2048, heads=8, kv_heads=4, head_dim=64, blocks=4)

posix = pytest.mark.skipif(os.name != "posix", reason="NOT TESTED: limits and signals are those of POSIX")


@pytest.fixture
def words(tmp_path):
    """Return the command of a merge of some megabytes."""
    base = write_model(tmp_path / "base.gguf", WIDE)
    adapter = write_adapter(tmp_path / "ada-lora", base=WIDE, layers=tuple(range(4)))
    command = (sys.executable, "-m", "ollama_pack", "merge", adapter, "--base", base)
    return tuple(map(str, (*command, "--out", tmp_path / "out" / "merged.gguf")))


def result_of(words):
    """Return where the file goes."""
    from pathlib import Path

    return Path(words[-1])


@posix
def test_no_room(words):
    """A file that may not grow as large as it must be is told by name, and nothing is left."""
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    ran = subprocess.run(
        words, preexec_fn=limit, env=environment(), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 6, ran.stderr
    assert "merged.gguf" in ran.stderr or ".ollama-pack-" in ran.stderr
    assert not result_of(words).parent.exists()


@posix
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_ended(words, end):
    """However it is ended, the file of before is there, byte for byte; and the next merge replaces it."""
    out = result_of(words)
    assert run(*words[3:]).code == 0
    before = out.read_bytes()
    process = subprocess.Popen(
        [*words, "--scale", "0.5"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Tests that run in the background ignore Ctrl-C, and so would it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until = time.monotonic() + 60
    while len(list(out.parent.iterdir())) < 2 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    process.send_signal(end)
    process.communicate()
    assert process.returncode != 0
    assert out.read_bytes() == before
    if end == signal.SIGINT:
        assert [each.name for each in out.parent.iterdir()] == ["merged.gguf"]
    assert run(*words[3:], "--scale", "0.5").code == 0
    assert out.read_bytes() != before


KILLED = """
import os, signal, sys
from ollama_pack.merge import tensor_work, write

moment = int(sys.argv.pop())
steps = 0

def step(event, details):
    global steps
    if event in ("os.rename", "open") and any(".ollama-pack-" in str(each) for each in details):
        steps += 1
        if steps == moment:
            os.kill(os.getpid(), signal.SIGKILL)

write.COPY_BYTES = 1 << 18
written = tensor_work.merge_block

def merge_block(*work, **more):
    step("open", (".ollama-pack-",))
    return written(*work, **more)

tensor_work.merge_block = merge_block
sys.addaudithook(step)
from ollama_pack.__main__ import main
main()
"""
"""Merges, and kills itself at a moment: a block is computed, or a draft is opened or gets its name."""


@posix
def test_killed_at_any_moment(words):
    """At whatever step it is killed, there is no file; a draft of long ago is removed by the next merge."""
    out, moment, killed = result_of(words), 0, -signal.SIGKILL
    while killed == -signal.SIGKILL:
        moment += 1 + moment // 2
        ran = subprocess.run(
            [sys.executable, "-c", KILLED, *words[3:], str(moment)],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        killed = ran.returncode
        names = [each.name for each in out.parent.iterdir()] if out.parent.exists() else []
        if killed:
            assert all(name.startswith(DRAFT) for name in names), names
            for name in names:
                os.utime(out.parent / name, (0, 0))
    assert (killed, moment > 10) == (0, True), ran.stderr
    assert [each.name for each in out.parent.iterdir()] == ["merged.gguf"]
