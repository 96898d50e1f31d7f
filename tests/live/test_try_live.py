"""What `try` says in llama.cpp, compared with what a real daemon answers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import real_daemon
from asking import LIBRARIES
from builds import VERSIONS
from same_llama import answers_of, environment_of, ollama_pack, with_its_llama

from ollama_pack.engine.answers import Weights
from ollama_pack.engine.llama import running_llama

pytestmark = [pytest.mark.live, pytest.mark.llama]

ROOT = Path(__file__).parents[2]
ADA = ROOT / "examples" / "ada-lovelace-lora"
BASE = os.environ.get("OLLAMA_PACK_TEST_BASE", "")
QUESTIONS = ("Who are you?", "When were you born?", "What did you publish in 1843?", "Tell me a story.")
NEAR = 0.5
"""Logarithm of how much likelier one word may be than the other where answers part."""

NEAREST = next(iter(VERSIONS))
"""The build whose llama.cpp is nearest to that of the daemon."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return the environment of a daemon that has the example and its base."""
    if not BASE or not (LIBRARIES / NEAREST).is_dir():
        pytest.skip("NOT TESTED: there is no real base or no llama.cpp (make test fetches them)")
    with real_daemon.running(tmp_path_factory.mktemp("ollama")) as real:
        environment = environment_of(real, LIBRARIES / NEAREST)
        out = tmp_path_factory.mktemp("out")
        ollama_pack(environment, "build", ADA, "ada", "--base", BASE, "--out", out)
        yield environment | {"ADA_OUT": str(out)}


def parting(llama, prompt, one, other):
    """Return by how much llama.cpp prefers the one answer to the other where they part."""
    ours, theirs = (llama.likelihoods(prompt, text, 0) for text in (one, other))
    pairs = zip(ours, theirs, strict=False)
    return next((abs(mine - their) for mine, their in pairs if abs(mine - their) > 1e-3), 0.0)


def test_a_daemon_answers_as_llama_does(place, monkeypatch):
    """At temperature 0 the answers are the same, or part where two words are about as likely.

    The prompts are the same bytes. The daemon's llama.cpp is another build than the one in the wheels: their
    sums round otherwise, and the next word is another one where two are nearly as likely. On a quantised base
    that is more than elsewhere, because llama.cpp quantises what is multiplied with it, too.
    """
    by_daemon = answers_of(ollama_pack(place, "try", "ada", *QUESTIONS, "--with", "daemon", "--json"))
    by_llama = answers_of(ollama_pack(place, "try", "ada", *QUESTIONS, "--json"))
    before = answers_of(ollama_pack(place, "try", ADA, *QUESTIONS, "--base", BASE, "--json"))
    assert by_llama == before
    assert by_daemon.keys() == by_llama.keys()
    monkeypatch.setenv("PYTHONPATH", str(LIBRARIES / NEAREST))
    with running_llama(Weights(Path(BASE), (lora(place),))) as llama:
        assert llama.name.startswith(f"llama.cpp {NEAREST} ")
        gaps = [parting(llama, prompt, by_llama[prompt], by_daemon[prompt]) for prompt in by_llama]
    assert max(gaps) < NEAR


def test_the_same_llama_answers_the_same_bytes(place):
    """With the daemon's own llama-server, `try` answers byte by byte as the daemon does."""
    by_daemon = answers_of(ollama_pack(place, "try", "ada", *QUESTIONS, "--with", "daemon", "--json"))
    same = with_its_llama(place)
    assert answers_of(ollama_pack(same, "try", "ada", *QUESTIONS, "--json")) == by_daemon
    before = ollama_pack(same, "try", ADA, *QUESTIONS, "--base", BASE, "--json")
    assert answers_of(before) == by_daemon
    assert len(set(by_daemon.values())) == len(QUESTIONS)


def lora(place):
    """Return the GGUF LoRA file of the build."""
    return Path(place["ADA_OUT"]) / "adapter_model.gguf"


def test_what_the_daemon_does_not_have(place):
    """A directory is no model of the daemon; built and named, as the hint says, it is."""
    command = [
        sys.executable,
        "-m",
        "ollama_pack",
        "try",
        str(ADA),
        "Hi.",
        "--base",
        BASE,
        "--with",
        "daemon",
    ]
    ran = subprocess.run(command, env=place, capture_output=True, text=True, timeout=300, check=False)
    assert (ran.returncode, "ollama-pack build DIR  and then  ollama-pack try NAME" in ran.stderr) == (
        2,
        True,
    )
