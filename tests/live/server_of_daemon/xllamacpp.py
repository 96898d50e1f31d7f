"""xllamacpp's names over a daemon's own llama-server, so that both sides run the very same llama.cpp.

LLAMA_SERVER names the program. Nothing is computed here: what is asked goes on by HTTP, as it came.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from types import SimpleNamespace

__version__ = "2026.1.0"
PR_SET_PDEATHSIG = 1
SECONDS = 300


class CommonAdapterLoraInfo:
    """An adapter and its scale."""

    def __init__(self, path, scale):
        self.path, self.scale = path, scale


class CommonParams(SimpleNamespace):
    """Settings of a server."""

    def __init__(self):
        super().__init__(model=SimpleNamespace(path=""), lora_adapters=[], api_keys=[], n_ctx=0)


class Server:
    """llama-server in a process that ends with its parent."""

    def __init__(self, given):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (self.key,) = given.api_keys
        self.listening_address = f"http://127.0.0.1:{port}"
        loras = [word for each in given.lora_adapters for word in ("--lora", each.path)]
        words = ["--model", given.model.path, "--host", "127.0.0.1", "--port", str(port), "-np", "1"]
        words += ["-c", str(given.n_ctx), "--no-webui", "--offline", "--no-warmup", "--api-key", self.key]
        words += [*loras, "--lora-init-without-apply"] if loras else []
        process = subprocess.Popen(
            [os.environ["LLAMA_SERVER"], *words], stdout=2, preexec_fn=_end_with_parent
        )
        for _ in range(10 * SECONDS):
            try:
                urllib.request.urlopen(f"{self.listening_address}/health", timeout=5).close()
                return
            except (OSError, urllib.error.URLError):
                if process.poll() is not None:
                    break
            time.sleep(0.1)
        raise RuntimeError("llama-server does not start")

    def handle_completions(self, asked, hear=None):
        """Answer a prompt, in pieces if somebody hears."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        body, address = json.dumps(asked).encode(), f"{self.listening_address}/v1/completions"
        with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=SECONDS) as reply:
            if hear is None:
                return json.loads(reply.read())
            for line in reply:
                if line.startswith(b"data: {") and hear(json.loads(line.removeprefix(b"data: "))):
                    return None
        return None


def _end_with_parent():
    """Let Linux end this process when its parent ends, which is killed and cannot do it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
