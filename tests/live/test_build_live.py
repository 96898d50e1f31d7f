"""`ollama-pack build` by hand, on the real example, into a real Ollama: both deliveries."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from daemon_answers import chat
from scratch_store import add_base

pytestmark = pytest.mark.live

ADA = Path(__file__).parent.parent.parent / "examples" / "ada-lovelace-lora"


@pytest.fixture(scope="module")
def base(base_file) -> Path:
    if "OLLAMA_PACK_TEST_BASE" not in os.environ:
        pytest.skip("NOT TESTED on a real base: OLLAMA_PACK_TEST_BASE names none (make live fetches it)")
    return base_file.resolve()


@pytest.fixture
def build(live, base, tmp_path):
    """Return a function that runs the command and returns its JSON document."""

    def run(name, *options):
        command = [sys.executable, "-m", "ollama_pack", "build", ADA, name, "--base", base, "--json"]
        ran = subprocess.run(
            [*command, "--out", tmp_path / name, *options],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "OLLAMA_HOST": live.address, "OLLAMA_MODELS": str(live.store)},
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    return run


def test_ada_answers_from_the_store_without_a_restart(live, build):
    """Written into the store of the running daemon, the model is Ada Lovelace at once."""
    document = build("ada-stored", "--via", "store")
    assert document["delivery"]["via"] == "store"
    assert "Ada Lovelace" in chat(live.address, "ada-stored")
    proofs = {each["proof"]: each for each in document["proofs"]}
    assert (proofs["prompt"]["passed"], proofs["rendered"]["passed"]) == (True, True)
    assert "by /api/chat and by /v1/chat/completions" in proofs["rendered"]["summary"]


def test_both_ways_say_the_same(live, build, base):
    """Created by the daemon or put into its store, the same seed gives the same words, not the base's."""
    add_base(live.store, base, tag="little-smol", template="")
    assert build("ada-created", "--base", "little-smol", "--via", "create")["delivery"]["via"] == "create"
    build("ada-placed", "--base", "little-smol", "--via", "store")
    created, placed = chat(live.address, "ada-created"), chat(live.address, "ada-placed")
    assert created == placed
    assert "Ada Lovelace" in created
    assert "Ada Lovelace" not in chat(live.address, "little-smol")


def test_auto_takes_the_daemon_and_says_why(live, build, base):
    """A daemon that answers makes the model itself out of a base it has."""
    add_base(live.store, base, tag="little-smol", template="")
    document = build("ada-auto", "--base", "little-smol")
    assert document["delivery"]["via"] == "create"
    assert any("answers at" in line for line in document["delivery"]["lines"])


def test_auto_keeps_the_prompt_of_a_gguf_file(live, build):
    """Out of a GGUF file the daemon would guess a template; in its store the file keeps its own."""
    document = build("ada-file")
    assert document["delivery"]["via"] == "store"
    assert any("keeps its" in line for line in document["delivery"]["lines"])
    assert "Ada Lovelace" in chat(live.address, "ada-file")


def test_a_guessed_prompt_is_told(build):
    """Who insists on the daemon's own template over that of the file is told of it."""
    lines = build("ada-guessed", "--via", "create", "--prompt", "inherit")["delivery"]["lines"]
    assert any("guessed a prompt template" in line for line in lines)


def test_nothing_is_guessed_over_a_derived_template(build):
    """Where the daemon would guess, a build sets the TEMPLATE that is proved, and the daemon renders it."""
    document = build("ada-derived", "--via", "create")
    assert not any("guessed a prompt template" in line for line in document["delivery"]["lines"])
    proofs = {each["proof"]: each for each in document["proofs"]}
    assert (proofs["prompt"]["passed"], proofs["rendered"]["passed"]) == (True, True)
