"""A real Ollama daemon on a free loopback port with a store of its own, where one is installed."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest


@dataclass(frozen=True)
class RealDaemon:
    """A running daemon: its address, its store, what it writes down, and how it is killed."""

    address: str
    store: Path
    log: Path
    kill: Callable[[], None]


def find_ollama() -> str:
    """Return the daemon's program, or skip the test and say loudly why."""
    path = os.environ.get("OLLAMA_PACK_TEST_OLLAMA") or shutil.which("ollama")
    if not path or not Path(path).is_file():
        pytest.skip(
            "NOT TESTED against a real Ollama: none on PATH and OLLAMA_PACK_TEST_OLLAMA names no program"
        )
    return path


@contextlib.contextmanager
def running(directory: Path) -> Iterator[RealDaemon]:
    """Start a daemon, and stop it by its process when the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    store = directory / "models"
    store.mkdir(parents=True, exist_ok=True)
    kept = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH") if key in os.environ}
    environment = kept | {
        "HOME": str(directory),
        "OLLAMA_HOST": address,
        "OLLAMA_MODELS": str(store),
        "OLLAMA_NO_CLOUD": "1",
        "OLLAMA_CONTEXT_LENGTH": "512",
    }
    log = directory / "ollama.log"
    with log.open("wb") as sink:
        process = subprocess.Popen([find_ollama(), "serve"], env=environment, stdout=sink, stderr=sink)
        try:
            _wait(f"http://{address}", process, log)
            yield RealDaemon(f"http://{address}", store, log, process.kill)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait(address: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(150):
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{address}/api/version", trust_env=False).is_success:
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    pytest.fail(f"the daemon did not start:\n{log.read_text()[-2000:]}")
