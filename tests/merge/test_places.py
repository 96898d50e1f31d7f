"""Where a base lies: in parts, on another file system, or under a program that still writes to it."""

import errno
import os

import numpy as np
import pytest
from gguf import GGUFReader
from recipes import TINY, resized, write_adapter, write_model
from split_model import write_parts
from terminal import run

from ollama_pack.merge.draft import DraftFile


@pytest.fixture
def scene(tmp_path):
    """Return an adapter and its base."""
    return write_adapter(tmp_path / "ada"), write_model(tmp_path / "base.gguf", resized(TINY))


def numbers_of(path):
    """Return the tensors of a file, as gguf's own reader finds them."""
    return {each.name: np.array(each.data) for each in GGUFReader(path).tensors}


@pytest.mark.parametrize("part", [0, -1])
def test_a_base_in_parts(scene, tmp_path, part):
    """Any of its parts names it; the merged model is one file, and the very one that the whole base makes."""
    ada, base = scene
    parts = write_parts(base, tmp_path)
    assert run("merge", ada, "--base", base, "--out", tmp_path / "whole.gguf").code == 0
    ran = run("merge", ada, "--base", parts[part], "--out", tmp_path / "joined.gguf")
    assert ran.code == 0, ran.stderr
    whole, joined = numbers_of(tmp_path / "whole.gguf"), numbers_of(tmp_path / "joined.gguf")
    assert whole.keys() == joined.keys()
    assert all(np.array_equal(whole[name], joined[name]) for name in whole)
    assert not [key for key in GGUFReader(tmp_path / "joined.gguf").fields if key.startswith("split.")]


def test_a_base_in_parts_is_built(scene, tmp_path):
    """With --merge a model of it is one file, as Ollama takes it; without, it is refused."""
    ada, base = scene
    first = write_parts(base, tmp_path)[0]
    words = ("build", ada, "ada", "--base", first, "--via", "folder", "--out", tmp_path / "out")
    assert run(*words).code == 4
    ran = run(*words, "--merge", "--json")
    assert ran.code == 0, ran.stderr
    assert (tmp_path / "out" / "merged_model.gguf").exists()


def test_another_file_system(scene, tmp_path, monkeypatch):
    """Where the kernel cannot copy from one file system to another, the bytes are read and written."""
    ada, base = scene
    assert run("merge", ada, "--base", base, "--out", tmp_path / "one.gguf").code == 0
    tried = []

    def refuse(*_arguments, **_how):
        tried.append(1)
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    ran = run("merge", ada, "--base", base, "--out", tmp_path / "other" / "one.gguf")
    assert (ran.code, bool(tried)) == (0, True), ran.stderr
    assert (tmp_path / "other" / "one.gguf").read_bytes() == (tmp_path / "one.gguf").read_bytes()


def test_a_base_that_changes_meanwhile(scene, tmp_path, monkeypatch):
    """A base that another program writes to is told, and nothing is left; afterwards it works."""
    ada, base = scene
    copy = DraftFile.copy
    with monkeypatch.context() as patched:

        def change(*arguments):
            os.utime(base, ns=(1, 1))
            return copy(*arguments)

        patched.setattr(DraftFile, "copy", change)
        ran = run("merge", ada, "--base", base, "--out", tmp_path / "m" / "ada.gguf")
    assert (ran.code, "The base changed while it was read" in ran.stderr) == (3, True), ran.stderr
    assert not list((tmp_path / "m").glob("*"))
    assert run("merge", ada, "--base", base, "--out", tmp_path / "m" / "ada.gguf").code == 0
