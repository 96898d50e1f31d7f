"""``ollama-pack modelfile``: the Modelfile alone."""

import pytest
from terminal import run, tree

from ollama_pack.modelfile.parser import parse


@pytest.fixture
def said(ada, tiny_gguf):
    """Return a function that parses what the command prints."""

    def say(*more):
        ran = run("modelfile", ada, "--base", tiny_gguf, *more)
        assert (ran.code, ran.stderr) == (0, "")
        return parse(ran.stdout, where="stdout")

    return say


def test_printed(said, ada, tmp_path):
    """Without an author a template is filled and printed; nothing is written."""
    before = tree(tmp_path, times=True)
    modelfile = said()
    assert modelfile.value("ADAPTER") == "./adapter_model.gguf"
    assert modelfile.value("FROM").endswith("/tiny.gguf")
    assert tree(tmp_path, times=True) == before


def test_options(said):
    """Every option arrives in its command."""
    modelfile = said(
        *("--template", "vicuna", "--system", "You are\nAda.", "--adapter-file", "/x/ada.gguf"),
        *("--parameter", "temperature=0.3", "--parameter", "stop=END"),
    )
    assert modelfile.value("SYSTEM") == "You are\nAda."
    assert modelfile.value("ADAPTER") == "/x/ada.gguf"
    assert modelfile.value("PARAMETER", "temperature") == "0.3"
    assert "END" in modelfile.values("PARAMETER", "stop")
    assert "USER:" in modelfile.value("TEMPLATE")


def test_author(said, ada):
    """What the author wrote is printed as it stands, with FROM and ADAPTER set."""
    (ada / "Modelfile.txt").write_text("# mine\nFROM vicuna\nLICENSE free\n", "utf-8")
    modelfile = said()
    assert modelfile.value("LICENSE") == "free"
    assert modelfile.value("FROM").endswith("/tiny.gguf")


def test_same_as_a_build(said, ada, tiny_gguf):
    """It prints what a build writes."""
    printed = run("modelfile", ada, "--base", tiny_gguf).stdout
    run("build", ada, "--base", tiny_gguf)
    assert (ada / "ollama" / "Modelfile.txt").read_text("utf-8") == printed


def test_out(ada, tiny_gguf, tmp_path):
    """--out writes it there, and FROM is the way from there; -q then says nothing."""
    target = ada / "Other.txt"
    ran = run("modelfile", ada, "--base", tiny_gguf, "--out", target)
    assert (ran.code, ran.stdout) == (0, "")
    assert "ADAPTER ./adapter_model.gguf" in ran.stderr
    source = parse(target.read_text("utf-8"), where="Other.txt").value("FROM")
    assert (ada / source).samefile(tiny_gguf)
    assert run("modelfile", ada, "--base", tiny_gguf, "--out", target, "-q").stderr == ""


def test_template_of_ones_own(said, tmp_path):
    """A file is a template too, named by its path."""
    path = tmp_path / "mine.Modelfile"
    path.write_text("FROM [[ base|quoted ]]\nSYSTEM I am [[ name ]].\n", "utf-8")
    assert said("--template", path).value("SYSTEM") == "I am ada."


def test_unknown_template(ada, tiny_gguf):
    """A template that is not there is damaged input, with a suggestion that exists."""
    ran = run("modelfile", ada, "--base", tiny_gguf, "--template", "vikuna")
    assert (ran.code, ran.stdout) == (2, "")
    assert "--template vicuna" in ran.stderr


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
def test_trained_files_are_protected(ada, tiny_gguf, name):
    """--out does not replace what is no Modelfile, least of all what was trained."""
    before = tree(ada)
    ran = run("modelfile", ada, "--base", tiny_gguf, "--out", ada / name)
    assert (ran.code, ran.stdout, tree(ada)) == (7, "", before)
    assert "not a Modelfile" in ran.stderr
