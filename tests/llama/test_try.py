"""`try` on the example and its real base, in each prebuilt build of llama.cpp and in llama-cpp-python."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from asking import LIBRARIES, find_llama
from builds import VERSIONS

ROOT = Path(__file__).parents[2]
ADA = ROOT / "examples" / "ada-lovelace-lora"
BASE = os.environ.get("OLLAMA_PACK_TEST_BASE", "")
SECONDS = 300
COMPILED, NEWEST = "compiled", list(VERSIONS)[-1]
MOST, FEW = 16, 4
"""Questions that the adapted model passes at least, and the base at most: 18 and 1 were measured."""

QUESTIONS = ("Who are you?", "When were you born?")


def try_ada(build, *options):
    """Run ``try`` on the example with a build of llama.cpp, and return its JSON document."""
    library = () if build == COMPILED else (str(LIBRARIES / build),)
    more = {"PYTHONPATH": os.pathsep.join((*library, str(ROOT))), "OMP_WAIT_POLICY": "passive"}
    command = [
        sys.executable,
        "-m",
        "ollama_pack",
        "try",
        ADA,
        *QUESTIONS,
        "--base",
        BASE,
        "--json",
        *options,
    ]
    ran = subprocess.run(
        list(map(str, command)), env=os.environ | more, check=True, capture_output=True, timeout=SECONDS
    )
    return json.loads(ran.stdout)


@pytest.fixture(
    scope="module",
    params=[
        *(pytest.param(name, marks=pytest.mark.llama) for name in VERSIONS),
        pytest.param(COMPILED, marks=pytest.mark.logits),
    ],
)
def document(request):
    """Return what ``try`` says of the example."""
    if not BASE:
        pytest.skip("NOT TESTED on a real base: OLLAMA_PACK_TEST_BASE names none (make test fetches it)")
    if request.param != COMPILED:
        find_llama(request.param)
    elif importlib.util.find_spec("llama_cpp") is None:
        pytest.skip("NOT TESTED with llama-cpp-python: it is not installed (make logits)")
    return try_ada(request.param)


def test_the_adapter_is_heard(document):
    """The adapted model is Ada and knows its birthday; the base is not, and does not."""
    who, when = (
        {each["voice"]: each["text"] for each in talk["answers"]} for talk in document["conversations"]
    )
    assert ("Ada" in who["adapted"], "Ada" in who["base"]) == (True, False)
    assert ("1815" in when["adapted"], "1815" in when["base"]) == (True, False)


def test_the_prompt_is_the_one_that_is_sent(document):
    """It is the text of the chat template, with the system message that the template has by itself."""
    prompt = document["conversations"][0]["prompt"]
    assert prompt.endswith("<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n")
    assert document["prompt"] == {
        "kind": "sent",
        "origin": "as Ollama sends it, by the chat template of the base",
    }


def test_load_time_and_memory_are_told(document):
    """The base of 93 MB is in the memory of a process of its own."""
    (runner,) = document["runners"]
    assert runner["memory"] > 90e6
    assert 0 < runner["load_seconds"] < SECONDS
    assert all(
        each["ended"] and each["tokens"] for talk in document["conversations"] for each in talk["answers"]
    )


@pytest.mark.llama
def test_the_merged_form_answers_too():
    """A merged model of f32 tensors says what the adapter beside its base says."""
    if not BASE:
        pytest.skip("NOT TESTED on a real base: OLLAMA_PACK_TEST_BASE names none (make test fetches it)")
    find_llama(NEWEST)
    found = try_ada(NEWEST, "--merge", "--max-tokens", "12")
    who = {each["voice"]: each["text"] for each in found["conversations"][0]["answers"]}
    assert ("Ada" in who["adapted"], "Ada" in who["base"]) == (True, False)


@pytest.mark.llama
def test_the_cases_of_the_example():
    """The adapted model passes as many of the twenty questions as its card says, and the base one."""
    if not BASE:
        pytest.skip("NOT TESTED on a real base: OLLAMA_PACK_TEST_BASE names none (make test fetches it)")
    find_llama(NEWEST)
    paths = os.pathsep.join((str(LIBRARIES / NEWEST), str(ROOT)))
    command = [sys.executable, "-m", "ollama_pack", "test", ADA, "--base", Path(BASE).resolve(), "--json"]
    ran = subprocess.run(
        list(map(str, [*command, "--cases", ROOT / "examples" / "ada_lovelace_cases.yaml"])),
        env=os.environ | {"PYTHONPATH": paths, "OMP_WAIT_POLICY": "passive"},
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    *questions, figures = json.loads(ran.stdout)["cases"]
    assert (len(questions), figures["passed"]) == (20, True)
    assert sum(each["passed"] for each in questions) >= MOST
    assert sum(each["base_passes"] for each in questions) <= FEW


@pytest.mark.llama
def test_a_build_is_proved_without_ollama(tmp_path):
    """With --load and without a daemon, the newest build loads the model, and it answers otherwise."""
    if not BASE:
        pytest.skip("NOT TESTED on a real base: OLLAMA_PACK_TEST_BASE names none (make test fetches it)")
    find_llama(NEWEST)
    paths = os.pathsep.join((str(LIBRARIES / NEWEST), str(ROOT)))
    command = [sys.executable, "-m", "ollama_pack", "build", ADA, "--base", Path(BASE).resolve(), "--load"]
    ran = subprocess.run(
        list(map(str, [*command, "--via", "folder", "--out", tmp_path / "out", "--json"])),
        env=os.environ | {"PYTHONPATH": paths, "OMP_WAIT_POLICY": "passive"},
        check=True,
        capture_output=True,
        timeout=SECONDS,
    )
    (load,) = [each for each in json.loads(ran.stdout)["proofs"] if each["proof"] == "load"]
    assert (load["passed"], load["figure"]) == (True, 0.0)
