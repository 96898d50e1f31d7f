"""What a user may hand over by mistake: each is told in a sentence, and nothing is touched."""

import pytest
from spoilt import BAD, CONFIG, Scene
from terminal import run, spawn, tree


@pytest.fixture
def scene(ada, tiny_gguf):
    return Scene(ada, tiny_gguf)


LATE = {"diverged weights", "weights too large for f16"}
"""What only reading the weights through shows, and so not a dry run."""

CASES = [pytest.param(case, (), id=name) for name, case in BAD.items()]
CASES += [
    pytest.param(case, ("--dry-run",), id=f"{name}, dry") for name, case in BAD.items() if name not in LATE
]


@pytest.mark.parametrize(("case", "dry"), CASES)
def test_bad_input(scene, tmp_path, case, dry):
    """Each is told by its exit code and a sentence with its name in it, and the disk stays as it was."""
    spoil, code, told = case
    spoil(scene)
    before = tree(tmp_path, times=True)
    ran = run("build", scene.ada, *scene.more, *(["--base", scene.base] if scene.base else []), *dry)
    assert (ran.code, ran.stdout) == (code, ""), ran.stderr
    assert "Error: " in ran.stderr
    assert [words for words in told if words not in ran.stderr] == []
    assert tree(tmp_path, times=True) == before


def test_bad_address(ada, tiny_gguf, tmp_path, monkeypatch):
    """An OLLAMA_HOST that is none is told before anything is written."""
    monkeypatch.setenv("OLLAMA_HOST", "ftp://x")
    before = tree(tmp_path)
    ran = run("build", ada, "--base", tiny_gguf)
    assert (ran.code, ran.stdout, tree(tmp_path)) == (2, "", before)
    assert "OLLAMA_HOST" in ran.stderr


def test_directory_named_like_the_base(ada, alone):
    """A directory named like the base's id, where the command is typed, does not hide the catalog."""
    (alone / "lmsys" / "vicuna-7b-v1.5").mkdir(parents=True)
    assert "32 blocks" in run("build", ada, "--base", "lmsys/vicuna-7b-v1.5", "--dry-run").stderr


def test_no_traceback_from_a_process(ada, tiny_gguf):
    """The error a user sees is what, where and try, and nothing of Python."""
    (ada / CONFIG).write_text("{")
    ran = spawn("build", ada, "--base", tiny_gguf)
    assert (ran.code, ran.stdout) == (3, "")
    assert ran.stderr.splitlines()[0].startswith("Error: The file is not JSON")
    assert ran.stderr.splitlines()[1] == f"  in:  {ada / CONFIG}"
    assert "Traceback" not in ran.stderr
