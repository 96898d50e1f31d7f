"""What is at a place that a user names, and is not what he meant, is called what it is; the hint leads on."""

import socket

import pytest
from following import hint_of, succeeds
from terminal import run


@pytest.fixture
def built(ada, tiny_gguf):
    """Return the folder of a build."""
    succeeds("build", ada, "ada", "--base", tiny_gguf, "--via", "folder")
    return ada / "ollama"


@pytest.mark.parametrize("command", ["build", "inspect", "convert", "prompt"])
def test_the_folder_of_a_build(built, tmp_path, command):
    """It holds a model that was made already: it is registered."""
    words = (command, built, *(("--out", tmp_path / "x.gguf") if command == "convert" else ()))
    ran = run(*words)
    assert (ran.code, "this folder was written by a build" in ran.stderr + ran.stdout) == (3, True)


def test_the_hint_registers_it(built, tmp_path):
    """By the letter."""
    hint = hint_of("build", built, code="no-adapter")
    assert hint.startswith("ollama-pack register ")
    succeeds(*hint.split()[1:], "ada", "--via", "store", "--store", tmp_path / "store")


def test_a_store_that_is_a_file(ada, tiny_gguf, tmp_path):
    """A directory is asked for, and nobody is sent to sudo."""
    words = ("build", ada, "ada", "--base", tiny_gguf, "--via", "store")
    hint = hint_of(*words, "--store", tiny_gguf, code="store-not-writable")
    assert hint.splitlines()[0] == "--store DIR"
    succeeds(*words, "--store", tmp_path / "store")


def test_a_base_that_is_misspelled(smol):
    """The model that is meant comes before the one that would be pulled."""
    hint = hint_of("build", smol, "smol", "--base", "smolm2:135m", code="no-store")
    assert hint.startswith(
        "--base smollm2:135m  if that is meant; else ollama serve, then ollama pull smolm2:135m"
    )
    hint = hint_of("build", smol, "smol", "--base", "smollm2:135m", code="no-store")
    assert hint.splitlines()[0] == "ollama serve, then ollama pull smollm2:135m; or --via folder"


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("convert", "{ada}", "--base", "{base}"), "--out"),
        (("merge", "{ada}", "--base", "{base}"), "--out"),
        (("inspect", "{ada}"), "--report"),
    ],
    ids=["convert", "merge", "report"],
)
def test_a_directory_in_the_place_of_a_file(ada, tiny_gguf, tmp_path, words, option):
    """It is called a directory."""
    (tmp_path / "there").mkdir()
    ran = run(*(word.format(ada=ada, base=tiny_gguf) for word in words), option, tmp_path / "there")
    assert (ran.code, "directory of this name" in ran.stderr) == (7, True), ran.stderr


def test_a_page_is_told(ada, tmp_path):
    """What --report wrote is named."""
    pytest.importorskip("matplotlib")
    assert f"wrote {tmp_path / 'ada.html'}" in run("inspect", ada, "--report", tmp_path / "ada.html").stderr


@pytest.mark.parametrize("words", [("pull", "{place}", "ada"), ("verify", "{place}")], ids=["pull", "verify"])
def test_a_registry_that_is_not_there(words):
    """What the system says is told, and not the words of a library that repeat it three times."""
    pytest.importorskip("oras")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"oci://127.0.0.1:{free.getsockname()[1]}/team/ada:1.0"
        ran = run(*(word.format(place=place) for word in words))
    assert ran.code == 6
    assert "The registry does not answer: Connection refused." in ran.stderr
    assert "start the registry, or correct its address" in ran.stderr


def test_a_chat_template_that_is_broken(ada, tiny_gguf):
    """Its fault is one sentence, with a way on."""
    (ada / "chat_template.jinja").write_text("{{ messages ")
    ran = run("prompt", ada, "--base", tiny_gguf)
    assert ran.code == 3
    assert ".." not in ran.stderr
    assert "save the chat template again as it was in training" in ran.stderr
