"""What the record scripts write is what the tests read; and nothing in the repository is kept twice."""

import os
import subprocess
import sys
from pathlib import Path

import archive
import pytest

ROOT = Path(__file__).parent.parent
FILES = {
    "base.gguf": b"GGUF" + bytes(60),
    "logits.npz": b"logits",
    "plain/adapter_config.json": b"{}",
    "plain/adapter_model.safetensors": bytes(range(256)),
    "sum/a/adapter_config.json": b"{}",
    "empty/adapter_model.safetensors": b"",
}
RUN = {
    "base.gguf": b"GGUF",
    "ada-lora/adapter_config.json": b"{}",
    "ada-lora/adapter_model.safetensors": b"two",
    "ada-lora/checkpoint-1/adapter_config.json": b"{}",
    "ada-lora/checkpoint-1/adapter_model.safetensors": b"one",
    "ada-lora/checkpoint-1/scaler.pt": b"scale",
    "ada-lora/checkpoint-2/adapter_config.json": b"{}",
    "ada-lora/checkpoint-2/adapter_model.safetensors": b"two",
    "ada-lora/checkpoint-2/scaler.pt": b"scale",
}
BUILT = ("adapter_model.gguf", "ollama-pack.lock")
"""What a build leaves beside an adapter, if somebody has tried the commands of the README."""


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files into a folder, and return it."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    """Return name → content of all files in a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture
def goldens(tmp_path, monkeypatch) -> Path:
    """Return an empty place for records instead of the real one."""
    monkeypatch.setattr(archive, "GOLDENS", tmp_path / "goldens")
    monkeypatch.setattr(archive, "_room", lambda: tmp_path / "room")
    archive.unpacked.cache_clear()
    yield tmp_path / "goldens"
    archive.unpacked.cache_clear()


def record(kind: str, name: str, files: dict[str, bytes]) -> None:
    """Record a model as the scripts do."""
    with archive.recording(archive.archive_of(kind, name)) as folder:
        write(folder, files)


def test_a_record_is_read_as_it_was_written(goldens):
    """Every file of a recorded model is there again, and the model is found by its name."""
    record("reference", "tiny-1.5", FILES)
    assert archive.names_of("reference") == ["tiny-1.5"]
    assert read(archive.unpacked("reference", "tiny-1.5")) == FILES


def test_an_archive_depends_on_names_and_contents(tmp_path):
    """Another date, mode and order of writing give the same bytes, and another content does not."""
    folders = [write(tmp_path / "one", FILES), write(tmp_path / "two", dict(reversed(FILES.items())))]
    os.utime(folders[1] / "base.gguf", (1, 1))
    (folders[1] / "base.gguf").chmod(0o600)
    folders.append(write(tmp_path / "three", {**FILES, "base.gguf": b"GGUF"}))
    for folder in folders:
        archive.pack(folder, folder.with_suffix(".tar.xz"))
    one, two, three = (folder.with_suffix(".tar.xz").read_bytes() for folder in folders)
    assert one == two != three


def test_a_failed_recording_changes_nothing(goldens):
    """An archive stays as it was if the script that records it anew stops."""
    record("reference", "tiny", FILES)
    with (
        pytest.raises(ZeroDivisionError),
        archive.recording(archive.archive_of("reference", "tiny")) as folder,
    ):
        write(folder, {"base.gguf": b"half"})
        raise ZeroDivisionError
    assert read(archive.unpacked("reference", "tiny")) == FILES


@pytest.mark.parametrize("keep", [True, False])
def test_recording_some_cases_keeps_the_others(goldens, keep):
    """What was recorded before is in the folder if it is to be kept, and is gone otherwise."""
    record("reference", "tiny", FILES)
    with archive.recording(archive.archive_of("reference", "tiny"), keep=keep) as folder:
        assert folder.name == "tiny"
        write(folder, {"logits.npz": b"new"})
    kept = FILES if keep else {}
    assert read(archive.unpacked("reference", "tiny")) == {**kept, "logits.npz": b"new"}


def test_a_base_is_lent(goldens):
    """A model of `kinds` has its own base, else that of `reference`, else that of its row, else none."""
    adapter = {"plain/adapter_config.json": b"{}"}
    for kind, name in (
        ("archs-reference", "a"),
        ("archs-reference", "b"),
        ("archs-reference", "c"),
        ("reference", "b"),
    ):
        record(kind, name, {"base.gguf": f"{kind} {name}".encode()})
    for name in "abcd":
        record("kinds", name, {**adapter, "base.gguf": b"own"} if name == "c" else adapter)
    bases = {name: read(archive.unpacked("kinds", name)).get("base.gguf") for name in "abcd"}
    assert bases == {"a": b"archs-reference a", "b": b"reference b", "c": b"own", "d": None}


def test_a_run_is_completed(tmp_path):
    """Of equal files a thin run has one, and a link for weights; completed it has every file again."""
    run = write(tmp_path / "run", RUN)
    archive.thin(run)
    second = run / "ada-lora" / "checkpoint-2"
    assert [path.name for path in second.iterdir()] == ["adapter_model.safetensors"]
    assert (second / "adapter_model.safetensors").is_symlink()
    assert (run / "ada-lora" / "checkpoint-1" / "scaler.pt").exists()
    archive.complete(run, tmp_path / "whole")
    assert read(tmp_path / "whole") == RUN
    assert not [path for path in (tmp_path / "whole").rglob("*") if path.is_symlink()]


def test_the_program_unpacks_everything(tmp_path):
    """One command makes plain directories of all records, with their bases, and of the run."""
    program = [sys.executable, ROOT / "tests" / "reference" / "archive.py", tmp_path / "out"]
    subprocess.run(program, check=True, timeout=60)
    for kind in archive.KINDS:
        found = sorted(path.parent.name for path in (tmp_path / "out" / kind).glob("*/base.gguf"))
        # The records of merged models have the bases of the other records.
        assert found == [name for name in archive.names_of(kind) if name != "smollm2" and kind != "merged"]
    assert len(list((tmp_path / "out" / "run").glob("*/checkpoint-*/tokenizer.json"))) == 4


def test_nothing_is_kept_twice():
    """No two files of the goldens and of the example have the same bytes."""
    folders = (archive.GOLDENS, ROOT / "examples")
    paths = [path for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts]
    contents: dict[bytes, list[str]] = {}
    for path in paths:
        if path.is_file() and not path.is_symlink() and path.name not in BUILT:
            contents.setdefault(path.read_bytes(), []).append(path.relative_to(ROOT).as_posix())
    assert [names for names in contents.values() if len(names) > 1] == []
