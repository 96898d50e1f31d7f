"""A stand-in of xllamacpp for tests without llama.cpp: its tokens are bytes, and its answers are known.

The base says the last words of the prompt backwards, an adapter says them forwards. Words in the prompt make
it abort, run on, or stay silent. It shares the names of xllamacpp and nothing else.
"""

import json
import math
import os
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

__version__ = "2026.1.1"
END = 0
"""The token that ends an answer."""


def log(line):
    """Log a line, as llama.cpp does."""
    os.write(2, f"{line}\n".encode())


class CommonAdapterLoraInfo:
    """An adapter and its scale."""

    def __init__(self, path, scale):
        self.path, self.scale = path, scale


class CommonParams(SimpleNamespace):
    """Settings of a server."""

    def __init__(self):
        super().__init__(model=SimpleNamespace(path=""), lora_adapters=[], api_keys=[], n_ctx=0)


class Server:
    """Answers what it is asked, and tokenizes by HTTP, as llama-server does."""

    def __init__(self, settings):
        self.settings = settings
        for path in (settings.model.path, *(each.path for each in settings.lora_adapters)):
            if Path(path).read_bytes()[:4] != b"GGUF":
                log(f"0.00.000.001 E gguf_init_from_reader: {Path(path).name} has no magic")
                raise RuntimeError("Failed to init server, please check the input params.")
        if os.environ.get("STAND_IN_REFUSES"):
            log("0.00.000.001 E load_model: it is refused")
            raise RuntimeError("Failed to init server, please check the input params.")
        (key,) = settings.api_keys
        http = HTTPServer(("127.0.0.1", 0), type("Tokens", (_Tokens,), {"key": key}))
        Thread(target=http.serve_forever, daemon=True).start()
        self.listening_address = f"http://127.0.0.1:{http.server_address[1]}"

    def handle_completions(self, asked, hear=None):
        """Answer a prompt, in pieces if somebody hears."""
        prompt = bytes(asked["prompt"]).decode()
        if len(asked["prompt"]) > self.settings.n_ctx:
            return hear({"error": {"message": "too long"}}) if hear else {"error": {"message": "too long"}}
        if "abort" in prompt:
            log("/src/llama.cpp:42: GGML_ASSERT(n_tokens > 0) failed")
            os.abort()
        if "silence" in prompt:
            time.sleep(60)
        adapted = any(each["scale"] for each in asked.get("lora", ()))
        if "n_probs" in asked:
            return self._likelihood(asked, adapted=adapted)
        words = prompt.split()[-3:]
        said = " ".join(words if adapted else reversed(words)) + (
            " and on" * 10**6 if "forever" in prompt else ""
        )
        pieces = [f"{word} " for word in said.split()]
        limit = asked.get("n_predict", 10**6)
        for at, piece in enumerate(pieces[:limit]):
            if hear({"choices": [{"text": piece if at + 1 < len(pieces) else piece.strip()}]}):
                return None
            time.sleep(0.001)
        reason = "stop" if len(pieces) <= limit else "length"
        end = {"choices": [{"text": "", "finish_reason": reason}]}
        hear({**end, "usage": {"completion_tokens": min(limit, len(pieces))}})
        return None

    def _likelihood(self, asked, *, adapted):
        """Return the probability of a token: 1/2 with an adapter, 1/4 without."""
        chance = math.log(0.5 if adapted else 0.25)
        if "logit_bias" not in asked:
            told = {"top_logprobs": [{"id": token, "logprob": chance} for token in range(256)]}
        elif asked["logit_bias"][0][0] == END:
            return {"choices": [{"logprobs": None}]}
        else:
            told = {"id": asked["logit_bias"][0][0], "logprob": chance}
        return {"choices": [{"logprobs": {"content": [told]}}]}


class _Tokens(BaseHTTPRequestHandler):
    key = ""

    def do_POST(self):
        """Return the bytes of a text."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        allowed = self.headers["Authorization"] == f"Bearer {self.key}" and self.path == "/tokenize"
        body = json.dumps({"tokens": list(asked["content"].encode())} if allowed else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        """Say nothing."""
