"""Finds llama.cpp for the tests that quantise by it: an installed package, or a build of make test."""

import importlib.util
from pathlib import Path

import pytest

BUILDS = Path(__file__).parents[2] / ".cache" / "llama"


def offer_ggml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package find a llama.cpp, or skip the test."""
    if importlib.util.find_spec("llama_cpp") or importlib.util.find_spec("xllamacpp"):
        return
    builds = sorted(BUILDS.glob("b*"))
    if not builds:
        pytest.skip("NOT TESTED with llama.cpp's own types: none is installed (make test fetches it)")
    monkeypatch.syspath_prepend(str(builds[-1]))


def hide_ggml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package find no llama.cpp."""
    monkeypatch.setattr("ollama_pack.gguf.ggml_library.PLACES", ())
