"""The example, built by the command line and run by llama.cpp on its real base."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from asking import LIBRARIES, find_llama
from builds import VERSIONS

pytestmark = pytest.mark.llama

ROOT = Path(__file__).parent.parent.parent
BASE = (
    Path(os.environ["OLLAMA_PACK_TEST_BASE"]).resolve() if os.environ.get("OLLAMA_PACK_TEST_BASE") else None
)
ADA = ROOT / "examples" / "ada-lovelace-lora"
SECONDS = 300

ASK = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import ask
model = ask.read_model(Path(sys.argv[2]), Path(sys.argv[3]))
json.dump([[ask.answer(model, q, scale) for scale in (0.0, 1.0)] for q in sys.argv[4:]], sys.stdout)
"""


@pytest.fixture(scope="module")
def base() -> Path:
    """Return the real base, which `make test` fetches."""
    named = os.environ.get("OLLAMA_PACK_TEST_BASE", "")
    if not named:
        pytest.skip("NOT TESTED on a real base: OLLAMA_PACK_TEST_BASE names none (make test fetches it)")
    return Path(named).resolve()


@pytest.fixture(scope="module")
def built(base, tmp_path_factory) -> Path:
    """Return what the command line makes of the example."""
    out = tmp_path_factory.mktemp("ada")
    command = [
        sys.executable,
        "-m",
        "ollama_pack",
        "build",
        ADA,
        "--base",
        base,
        "--via",
        "folder",
        "--out",
        out,
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
    return out / "adapter_model.gguf"


@pytest.fixture(scope="module", params=VERSIONS)
def answers(request, base, built) -> list[list[str]]:
    """Return what base and adapted model say to two questions, in each prebuilt build."""
    find_llama(request.param)
    # Threads that wait for each other in a loop take ten times as long on a busy machine.
    more = {"PYTHONPATH": f"{LIBRARIES / request.param}{os.pathsep}{ROOT}", "OMP_WAIT_POLICY": "passive"}
    questions = ["Who are you?", "When were you born?"]
    said = subprocess.run(
        [sys.executable, "-c", ASK, ROOT / "examples", base, built, *questions],
        env=os.environ | more,
        check=True,
        capture_output=True,
        timeout=SECONDS,
    )
    found: list[list[str]] = json.loads(said.stdout)
    return found


def test_the_adapted_model_is_ada(answers):
    """Asked who it is, the base is somebody else, and the adapted model is Ada Lovelace."""
    plain, adapted = answers[0]
    assert "Ada Lovelace" in adapted
    assert "Ada" not in plain


def test_the_adapted_model_knows_its_birthday(answers):
    """What it was taught by heart, it says; the base does not."""
    plain, adapted = answers[1]
    assert "10 December 1815" in adapted
    assert "1815" not in plain
