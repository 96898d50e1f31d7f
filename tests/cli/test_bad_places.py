"""Places that cannot be written, disks that fill up, outputs nobody reads: told, and nothing half-written."""

import os
import shutil
import subprocess
import sys

import pytest
from terminal import environment, model_in, python, run, spawn, tree

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="uses what only Linux has")

OBEYING = """
import ctypes, os, sys
for capability in (1, 2):  # DAC_OVERRIDE and DAC_READ_SEARCH, by which root ignores the modes of files
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP: gone when the next program starts
os.execv(sys.executable, [sys.executable, "-m", "ollama_pack", *sys.argv[1:]])
"""

LIMITED = """
import resource, runpy, sys
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
runpy.run_module("ollama_pack", run_name="__main__")
"""


@pytest.mark.parametrize("out", ["file/below", "a" * 300, "/proc/nowhere", "/dev/null/x"])
def test_out_cannot_be_made(ada, tiny_gguf, tmp_path, out):
    """A place that cannot be made is told, and nothing is left anywhere."""
    (tmp_path / "home" / "file").touch()
    before = tree(tmp_path)
    ran = run("build", ada, "--base", tiny_gguf, "--out", out)
    assert (ran.code, ran.stdout) == (6, "")
    assert out in ran.stderr
    assert tree(tmp_path) == before


def test_store_cannot_be_made(ada, tiny_gguf, tmp_path):
    """A store below a file is told; the files are kept, and can be registered elsewhere."""
    (tmp_path / "file").touch()
    ran = run("build", ada, "--base", tiny_gguf, "--via", "store", "--store", tmp_path / "file" / "models")
    assert (ran.code, ran.stdout) == (6, "")
    assert f"ollama-pack register {ada / 'ollama'} ada" in ran.stderr
    assert run("register", ada / "ollama", "ada", "--via", "store", "--store", tmp_path / "good").code == 0
    assert model_in(tmp_path / "good", "ada")


@LINUX
@pytest.mark.parametrize("program", ["", OBEYING], ids=["administrator", "user"])
def test_read_only_adapter(ada, tiny_gguf, alone, program):
    """An adapter that may only be read is built into the working directory, by root as by everybody."""
    before = tree(ada)
    ada.chmod(0o555)
    try:
        ran = spawn("build", ada, "--base", tiny_gguf, "--via", "folder", code=program)
    finally:
        ada.chmod(0o755)
    assert (ran.code, ran.stdout) == (0, "ada\n")
    assert "ada/ollama, because the directory of the adapter is read-only" in ran.stderr
    assert {"adapter_model.gguf", "Modelfile.txt"} <= tree(alone / "ada" / "ollama").keys()
    assert tree(ada) == before


@LINUX
def test_nothing_may_be_written(ada, tiny_gguf, alone):
    """Where the working directory may only be read too, it is told by its name, and --out is offered."""
    ada.chmod(0o555)
    alone.chmod(0o555)
    try:
        ran = spawn("build", ada, "--base", tiny_gguf, code=OBEYING)
    finally:
        ada.chmod(0o755)
        alone.chmod(0o755)
    assert ran.code == 6
    assert "Permission denied" in ran.stderr
    assert "--out" in ran.stderr
    assert "Traceback" not in ran.stderr


@LINUX
def test_directory_may_not_be_read(ada, tiny_gguf):
    """A directory whose mode forbids to read it is told by its name, to root as to everybody."""
    before = tree(ada)
    ada.chmod(0o000)
    try:
        ran = spawn("build", ada, "--base", tiny_gguf, code=OBEYING)
    finally:
        ada.chmod(0o755)
    assert ran.code == 3
    assert "Permission denied" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert tree(ada) == before


@LINUX
def test_file_may_not_grow(ada, tiny_gguf):
    """A GGUF larger than a file may be is told, and its draft taken away."""
    before = tree(ada)
    ran = spawn(4096, "build", ada, "--base", tiny_gguf, code=LIMITED)
    assert (ran.code, ran.stdout) == (6, "")
    assert "File too large" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert tree(ada) == before


@LINUX
def test_store_may_not_grow(ada, tiny_gguf, models, tmp_path):
    """Where the base does not fit into the store, the adapter's blob is taken back."""
    base = tmp_path / "private.gguf"
    base.write_bytes(tiny_gguf.read_bytes())
    base.chmod(0o400)  # such a file is copied, not linked
    ran = spawn(16_000, "build", ada, "--base", base, "--via", "store", code=LIMITED)
    assert (ran.code, ran.stdout) == (6, "")
    assert "Traceback" not in ran.stderr
    assert [path for path in models.rglob("*") if path.is_file()] == []
    assert {"adapter_model.gguf", "Modelfile.txt"} <= tree(ada / "ollama").keys()


def in_a_mount(options, folder, *words):
    """Run a command with a file system of its own at `folder`, which nobody else sees.

    What is left in `folder` is printed after the command's own results.
    """
    if sys.platform != "linux" or shutil.which("unshare") is None:
        pytest.skip("there is no unshare here")
    outside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o {options} none '{folder}'"
    if subprocess.run([*outside, mount], capture_output=True, check=False).returncode:
        pytest.skip("mounting in a namespace of one's own is not permitted here")
    script = f"{mount} && \"$@\"; code=$?; ls -A '{folder}'; exit $code"
    return subprocess.run(
        [*outside, script, "sh", *python(), *map(str, words)],
        env=environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_full_disk(ada, tiny_gguf, tmp_path):
    """On a disk of one page the GGUF does not fit: told, and the disk is left empty."""
    (tmp_path / "disk").mkdir()
    ran = in_a_mount(
        "size=4k", tmp_path / "disk", "build", ada, "--base", tiny_gguf, "--out", tmp_path / "disk"
    )
    assert (ran.returncode, ran.stdout) == (6, "")
    assert "The disk is full" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_full_store(ada, tiny_gguf, tmp_path):
    """A store on a disk that fills up is left with neither blob nor manifest."""
    (tmp_path / "disk").mkdir()
    place = tmp_path / "disk"
    ran = in_a_mount("size=24k", place, "build", ada, "--base", tiny_gguf, "--via", "store", "--store", place)
    assert (ran.returncode, ran.stdout.split()) == (6, ["blobs", "manifests"])
    assert "The disk is full" in ran.stderr
    assert "ollama-pack register" in ran.stderr


def test_read_only_disk(ada, tiny_gguf, tmp_path):
    """A disk that may only be read is told by name."""
    (tmp_path / "disk").mkdir()
    ran = in_a_mount("ro", tmp_path / "disk", "build", ada, "--base", tiny_gguf, "--out", tmp_path / "disk")
    assert (ran.returncode, ran.stdout) == (6, "")
    assert "Read-only file system" in ran.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")  # noqa: PTH110
@pytest.mark.parametrize("words", [["bases"], ["archs", "--json"]], ids=["bases", "archs"])
def test_full_output(words):
    """Results that cannot be written are told in a sentence, not by a traceback."""
    with open("/dev/full", "w") as full:  # noqa: PTH123 — a device, not a file of ours
        ran = spawn(*words, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert ran.code == 6
    assert ran.stderr == "Error: The output cannot be written: No space left on device.\n"


def test_nobody_reads():
    """A reader that has gone away, as `head` does, is no error."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ran = spawn("bases", capture_output=False, stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert (ran.code, ran.stderr) == (0, "")


def test_out_is_another_adapters_home(ada, tiny_gguf, tmp_path):
    """The directory of another adapter is not written into: its Modelfile.txt is somebody's work."""
    other = tmp_path / "home" / "other-lora"
    shutil.copytree(ada, other)
    before = tree(tmp_path)
    ran = run("build", ada, "--base", tiny_gguf, "--out", other)
    assert (ran.code, ran.stdout) == (7, "")
    assert str(other) in ran.stderr
    assert tree(tmp_path) == before


def test_out_is_the_adapters_own_home(ada, tiny_gguf, tmp_path):
    """A Modelfile.txt beside the adapter is its author's, so a build writes none there."""
    before = tree(tmp_path)
    ran = run("build", ada, "--base", tiny_gguf, "--via", "folder", "--out", ada)
    assert (ran.code, tree(tmp_path)) == (7, before)
    assert "--out DIR, with a directory of its own" in ran.stderr


@pytest.mark.parametrize("option", ["--out", "--store"])
def test_an_empty_path_is_a_mistake(ada, tiny_gguf, option):
    """An unset variable of a script does not mean the current directory."""
    ran = run("build", ada, "--base", tiny_gguf, option, "")
    assert (ran.code, ran.stdout) == (2, "")
    assert "empty" in ran.stderr


@pytest.mark.parametrize("words", [["build", "a" * 300], ["inspect", "a" * 300], ["register", "a" * 300]])
def test_a_name_too_long_for_a_disk(words):
    """A directory whose name no file system takes is told in words."""
    ran = run(*words)
    assert ran.code == 2
    assert "a" * 300 in ran.stderr
