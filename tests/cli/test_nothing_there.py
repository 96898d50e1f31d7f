"""A path that is typed and not there is wrong usage, whatever takes it: a directory, a model, or a file."""

import pytest
from terminal import run

PLACE = "oci://registry.example.com/team/ada:1.0"
PATHS = ("/no/such/dir", "./ada", "../ada", "~nobody/ada", "ada/", "a/b/c/d")
COMMANDS = {
    "verify": ("verify", "PATH"),
    "push": ("push", "PATH", PLACE),
    "prompt": ("prompt", "PATH"),
    "inspect": ("inspect", "PATH"),
    "try": ("try", "PATH", "Hi"),
    "test": ("test", "PATH", "--cases", "cases.yaml"),
    "register": ("register", "PATH"),
    "build": ("build", "PATH"),
}
FILES = {
    "test": ("test", "ada", "--cases", "no.file"),
    "release": ("release", "ada", "--out", "dist", "--cases", "no.file"),
    "sign": ("release", "ada", "--out", "dist", "--sign", "key", "--key", "no.file"),
    "prompt": ("prompt", "ada", "--messages", "no.file"),
    "try": ("try", "ada", "--messages", "no.file"),
    "key": ("verify", "ada", "--key", "no.file"),
    "policy": ("verify", "ada", "--policy", "no.file"),
    "config": ("build", "ada", "--config", "no.file"),
    "imatrix": ("merge", "ada", "--out", "x.gguf", "--imatrix", "no.file"),
    "kept-on": ("merge", "ada", "--out", "x.gguf", "--kept-on", "no.file"),
    "data": ("test", "ada", "--init", "--cases", "c.yaml", "--data", "no.file"),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_directory(words, path):
    """A word that only a path is written as is told as a directory that is missing, and nothing before it."""
    ran = run(*(path if word == "PATH" else word for word in words))
    assert ran.code == 2
    assert ran.stderr.startswith(("Error: There is no directory ", "Error: There is no such directory"))
    assert path.strip("./") in ran.stderr


@pytest.mark.parametrize("words", FILES.values(), ids=FILES)
def test_a_file(words):
    """A file that an option names is told as missing, with the exit code of wrong usage."""
    ran = run(*words)
    assert (ran.code, ran.stderr) == (2, "Error: There is no such file.\n  in:  no.file\n")


def test_a_name_is_none_of_them():
    """The name of a model, with a namespace and a host, is still a name."""
    for name in ("ada", "ada:1", "ns/ada:1", "host.example/ns/ada:1", "https://host.example/ns/ada:1"):
        assert "There is no directory" not in run("verify", name).stderr
