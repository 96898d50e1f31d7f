"""What the models of a real daemon answer, without randomness; skips the test where nothing runs models."""

from typing import Any

import httpx
import pytest


def ask(address: str, path: str, **body: Any) -> dict[str, Any]:
    """Return the answer to one request, which must succeed."""
    answer = httpx.post(f"{address}{path}", json=body, timeout=120, trust_env=False)
    if "llama-server binary not found" in answer.text:
        pytest.skip("NOT TESTED by running a model: this Ollama has no llama-server")
    assert answer.is_success, answer.text
    return answer.json()


def say(address: str, model: str) -> str:
    """Return how a model goes on with a word."""
    return ask(address, "/api/generate", model=model, prompt="ada", **_always(12, 256))["response"]


def chat(address: str, model: str, question: str = "Who are you?", tokens: int = 48) -> str:
    """Return what a model answers to a question."""
    messages = [{"role": "user", "content": question}]
    told = ask(address, "/api/chat", model=model, messages=messages, **_always(tokens, 512))
    return told["message"]["content"]


def _always(tokens: int, context: int) -> dict[str, Any]:
    """Return the options with which a model always says the same."""
    return {
        "stream": False,
        "options": {"seed": 7, "temperature": 0, "num_predict": tokens, "num_ctx": context},
    }
