"""The digest of a base that is named by its file: begun before all else, taken once, or ended."""

import hashlib
import threading

import pytest
from terminal import blob_in, layers_of, model_in, run

from ollama_pack.base import file_digest
from ollama_pack.base.digest_memory import digest_of_base

NAME = "sha256 of the base"


@pytest.fixture
def taken(monkeypatch) -> list[str]:
    """Return the threads in which a digest of a base was taken, in their order."""
    threads: list[str] = []

    def take(path, progress=None):
        threads.append(threading.current_thread().name)
        return digest_of_base(path, progress)

    monkeypatch.setattr(file_digest, "digest_of_base", take)
    return threads


def test_it_is_taken_once_in_a_thread(ada, tiny_gguf, models, taken):
    """A build takes the digest of its base once, beside its own work, and delivers it."""
    assert run("build", ada, "--base", tiny_gguf, "--via", "store").code == 0
    assert taken == [NAME]
    assert blob_in(models, layers_of(model_in(models, "ada"))["model"]) == tiny_gguf.read_bytes()


@pytest.mark.parametrize("options", [("--dry-run",), ("--each",)])
def test_it_is_not_begun_where_it_may_not_be_needed(ada, tiny_gguf, models, monkeypatch, options):
    """A dry run needs no digest, and a batch may have other bases."""
    begun = []
    monkeypatch.setattr("ollama_pack.cli.build_command.begin_digest", lambda name: begun.append(name))
    assert run("build", ada, "--base", tiny_gguf, "--via", "store", *options).code == 0
    assert not begun


def test_a_build_that_fails_ends_it(tmp_path, tiny_gguf, taken):
    """No thread is left after a build that found an error."""
    ran = run("build", tmp_path / "no-such-lora", "--base", tiny_gguf)
    assert (ran.code, len(taken)) == (2, 1)
    assert NAME not in {each.name for each in threading.enumerate()}


@pytest.mark.parametrize("base", ["", "vicuna:7b", "no-such-file.gguf", "x" * 5000, "\0"])
def test_another_base_has_none(ada, base, taken, tiny_gguf, monkeypatch):
    """A base that is no file is not read, and a name that cannot be one is no bug."""
    monkeypatch.chdir(ada)
    ran = run("build", ada, "--base", base, "--via", "folder")
    assert ran.code in (0, 2, 3)
    assert not taken


def test_a_file_that_is_written_meanwhile_is_read_anew(ada, tiny_gguf, models, monkeypatch, tmp_path):
    """What was read before the file was replaced by another file is never delivered."""
    from ollama_pack.pipeline import build

    old, built, base = tiny_gguf.read_bytes(), build.build, tmp_path / "base.gguf"
    base.write_bytes(old)

    def replace_first(request, note, progress, *, ahead):
        ahead.get()
        other = base.with_name("other.gguf")
        other.write_bytes(old + bytes(32))
        other.replace(base)
        return built(request, note, progress, ahead=ahead)

    monkeypatch.setattr(build, "build", replace_first)
    assert run("build", ada, "--base", base, "--via", "store").code == 0
    digest = layers_of(model_in(models, "ada"))["model"]
    assert digest == f"sha256:{hashlib.sha256(old + bytes(32)).hexdigest()}"
    assert blob_in(models, digest) == old + bytes(32)
