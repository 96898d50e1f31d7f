"""Gemma 3 270M with an adapter in a real daemon, separate and merged, beside `try` by the same llama.cpp."""

import pytest
import real_daemon
from gemma import gemma_file, write_gemma_adapter
from same_llama import answers_of, environment_of, ollama_pack, with_its_llama

pytestmark = [pytest.mark.live, pytest.mark.llama]
QUESTIONS = ("The capital of France is", "Once upon a time")


@pytest.mark.parametrize("form", [(), ("--merge",)], ids=["separate", "merged"])
def test_the_daemon_and_try_say_the_same(form, tmp_path):
    """What was built, and what was not built yet, answer byte by byte as the daemon does."""
    base, adapter = gemma_file(), write_gemma_adapter(tmp_path / "run")
    with real_daemon.running(tmp_path) as real:
        place = with_its_llama(environment_of(real, ""))
        ollama_pack(place, "build", adapter, "noise", "--base", base, "--out", tmp_path / "out", *form)
        more = (*QUESTIONS, "--max-tokens", "32", "--json")
        by_daemon = answers_of(ollama_pack(place, "try", "noise", *more, "--with", "daemon"))
        assert answers_of(ollama_pack(place, "try", "noise", *more)) == by_daemon
        before = ollama_pack(place, "try", adapter, *more, "--base", base, *form)
        assert answers_of(before) == by_daemon
        assert answers_of(before, "base") != by_daemon
        assert all(by_daemon.values())
