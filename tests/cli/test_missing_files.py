"""Files that are named and not there, or not what they stand for: the way out in the message is followed."""

import shutil
import subprocess

import pytest
from following import builds, refusal, shell

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"


@pytest.mark.parametrize("name", [WEIGHTS, "adapter_model.bin", CONFIG])
def test_a_clone_without_lfs(tmp_path, make_adapter, tiny_gguf, name):
    """A pointer of Git LFS is told as one, whatever file it stands for, and fetched as the message says."""
    ada = make_adapter()
    real = (ada / name).read_bytes() if (ada / name).exists() else b""
    if name.endswith(".bin"):
        (ada / WEIGHTS).unlink()
    (ada / name).write_bytes(LFS)
    (tmp_path / "real").write_bytes(real)
    error = refusal(ada, base=str(tiny_gguf))
    assert (error.code, error.exit_code) == ("git-lfs", 3)
    if shutil.which("git") is None:
        pytest.skip("NOT TESTED: what the message says to do, for there is no git here")
    subprocess.run(["git", "init", "-q", ada], check=True)
    shell(error.hint, tmp_path, **{"git-lfs": f'[ "$1" = pull ] && cp {tmp_path / "real"} {name}'})
    if not name.endswith(".bin"):
        builds(ada, tiny_gguf)


def test_an_empty_pickle(make_adapter, tiny_gguf):
    """Nobody installs torch for a file without a byte."""
    ada = make_adapter()
    (ada / WEIGHTS).unlink()
    (ada / "adapter_model.bin").touch()
    error = refusal(ada, base=str(tiny_gguf))
    assert (error.exit_code, "empty" in error.what, "torch" in error.hint) == (3, True, False)


def test_a_base_that_is_a_pointer(make_adapter, tmp_path):
    """A GGUF base in a clone without LFS is told so too."""
    (tmp_path / "base.gguf").write_bytes(LFS)
    assert refusal(make_adapter(), base=str(tmp_path / "base.gguf")).code == "git-lfs"


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (r"./my\ models/tiny.gguf", "FROM ./my models/tiny.gguf  without backslashes"),
        ("'./my models/tiny.gguf'", "FROM ./my models/tiny.gguf  without single quotes"),
        ("'my models/tiny.gguf'", "FROM my models/tiny.gguf  without single quotes"),
        ("./my models/tiny.gguf # mine", "FROM ./my models/tiny.gguf  without the comment"),
        ("./gone.gguf", "change FROM there"),
        (r"C:\models\tiny.gguf", "change FROM there"),
        (r"C:\models\tiny", "change FROM there"),
    ],
)
def test_a_base_that_is_not_here(make_adapter, tiny_gguf, value, hint):
    """FROM names a file that does not exist: the line that the message gives, or --base, is the way."""
    ada = make_adapter()
    (ada / "my models").mkdir()
    (ada / "my models" / "tiny.gguf").write_bytes(tiny_gguf.read_bytes())
    (ada / "Modelfile.txt").write_text(f"FROM {value}\n")
    error = refusal(ada)
    assert (error.code, error.exit_code, error.hint.startswith(hint)) == ("no-base-file", 3, True)
    if error.hint.startswith("FROM"):
        (ada / "Modelfile.txt").write_text(error.hint.partition("  ")[0] + "\n")
        builds(ada, "")
    else:
        builds(ada, tiny_gguf)


def test_a_named_base_that_is_not_here(make_adapter, tmp_path):
    """A file that --base names and that does not exist is a wrong word, not damage."""
    error = refusal(make_adapter(), base=str(tmp_path / "gone.gguf"))
    assert (error.code, error.exit_code) == ("no-such-directory", 2)
