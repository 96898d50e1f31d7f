"""Pickles as data: what they would import is told, and nothing of it ever happens."""

import io
import os
import pickle
import struct
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.run import pickle_scan
from ollama_pack.run.pickle_scan import OBJECTS, PLAIN_TENSORS, SUSPICIOUS, UNREAD, scan

ROOT = Path(__file__).parents[2]
RUN = ROOT / "examples" / "ada-lovelace-lora" / "checkpoint-420"


class Exploit:
    """Writes a file when somebody loads it."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


def archive(content: bytes, name: str = "archive/data.pkl") -> bytes:
    """Return what torch.save writes around a pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as whole:
        whole.writestr(name, content)
        whole.writestr("archive/version", "3\n")
    return file.getvalue()


EXPLOITS = {
    "os.system": b"cposix\nsystem\n(S'true'\ntR.",
    "builtins.eval": b"cbuiltins\neval\n(S'1'\ntR.",
    "in an instance": b"(S'true'\nios\nsystem\n.",
    "protocol 4": b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94.",
    "names from the memo": b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x9400h\x00h\x01\x93\x8c\x04true\x85R.",
    "a way through a module": b"\x80\x04\x8c\x1atransformers.training_args\x8c\x09os.system\x93.",
    "names that are computed": b"\x80\x04\x8c\x05posix\x8c\x06system\x8c\x010\x93.",
    "torch's own importer": b"ctorch._utils\n_import_dotted_name\n(S'os'\ntR.",
    "torch's own loader": b"ctorch.storage\n_load_from_bytes\n(S'x'\ntR.",
    "torch.hub": b"ctorch.hub\nload\n(S'x'\ntR.",
    "an extension": b"\x80\x02\x82\x01.",
    "behind a harmless one": b"\x80\x02}q\x00.\x80\x02cposix\nsystem\nq\x00.",
    "before damage": b"\x80\x02cposix\nsystem\nq\x00\xff",
}


@pytest.mark.parametrize("content", EXPLOITS.values(), ids=EXPLOITS)
def test_what_no_trainer_writes(content, tmp_path):
    """Whatever way an import is spelled, it is seen: bare, and in torch's archive."""
    for name, form in (("bare.pt", content), ("whole.pt", archive(content))):
        (tmp_path / name).write_bytes(form)
        found = scan(tmp_path / name)
        assert found.verdict == SUSPICIOUS, found
        assert found.imports
        assert "may run it" in str(found)


def test_nothing_is_run(tmp_path):
    """The exploit works where a pickle is loaded, and does nothing where it is looked at."""
    mark = tmp_path / "mark"
    content = pickle.dumps(Exploit(mark))
    pickle.loads(content)
    assert mark.exists()
    mark.unlink()
    (tmp_path / "training_args.bin").write_bytes(content)
    assert scan(tmp_path / "training_args.bin").imports == ("posix.system",)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_what_a_trainer_writes(name):
    """The state of a real training is tensors and numbers."""
    assert scan(RUN / name).verdict == PLAIN_TENSORS


def test_arguments_of_a_trainer():
    """Those of a real training are objects of its libraries, and say which."""
    found = scan(RUN / "training_args.bin")
    assert found.verdict == OBJECTS
    assert any(name.startswith("transformers.") for name in found.imports)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not a complete pickle"),
        (b"hello", "not a complete pickle"),
        (b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f", "not a complete pickle"),
        (b"\x80\x02X\xff\xff\xff\x7f", "not a complete pickle"),
        (b"PK", "archive without a list of members"),
        (archive(b"x", "archive/code/main.py"), "TorchScript"),
        (archive(b"x", "other"), "without a pickle"),
        (archive(b"\x80\x02}.")[:-40], "archive"),
    ],
)
def test_what_is_none(tmp_path, content, why):
    """What is no pickle is said to be none, whatever it is called."""
    (tmp_path / "optimizer.pt").write_bytes(content)
    found = scan(tmp_path / "optimizer.pt")
    assert (found.verdict, why in found.why) == (UNREAD, True), found


def test_what_is_not_there(tmp_path):
    """A file that is missing, or a directory, is not read, and that is said."""
    assert scan(tmp_path / "nowhere").verdict == UNREAD
    assert scan(tmp_path).verdict == UNREAD


def test_a_bomb(tmp_path):
    """A pickle of 2 GB in an archive of 2 MB is blown up no further than is read; nor are many members."""
    with (
        zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as whole,
        whole.open("archive/data.pkl", "w", force_zip64=True) as member,
    ):
        for _ in range(256):
            member.write(b"0" * (8 << 20))
    start = time.monotonic()
    assert scan(tmp_path / "bomb.pt").verdict == UNREAD
    assert time.monotonic() - start < 5
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 1 << 30, 0, 0)
    (tmp_path / "many.pt").write_bytes(b"PK\x03\x04" + bytes(1000) + end)
    assert "members" in scan(tmp_path / "many.pt").why


def test_a_long_one(tmp_path, monkeypatch):
    """A pickle that goes on without end is read to a limit, and what was seen until then counts."""
    monkeypatch.setattr(pickle_scan, "MOST_OPCODES", 1000)
    (tmp_path / "long.pt").write_bytes(b"\x80\x02cposix\nsystem\n" + b"0N" * 10_000 + b".")
    assert scan(tmp_path / "long.pt").verdict == SUSPICIOUS
    (tmp_path / "long.pt").write_bytes(b"\x80\x02" + b"N0" * 10_000 + b"N.")
    assert "opcodes" in scan(tmp_path / "long.pt").why


@pytest.mark.property
@given(content=st.binary(max_size=400), framed=st.booleans())
def test_any_bytes(tmp_path_factory, content, framed):
    """Whatever lies in a file, looking at it ends with a verdict."""
    path = tmp_path_factory.getbasetemp() / "any.pt"
    path.write_bytes(archive(content) if framed else content)
    assert scan(path).verdict in (PLAIN_TENSORS, OBJECTS, SUSPICIOUS, UNREAD)


@pytest.mark.property
@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
                          lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
       protocol=st.integers(0, 5))  # fmt: skip
def test_plain_values(tmp_path_factory, value, protocol):
    """Numbers, texts and containers of them import nothing, in any protocol."""
    path = tmp_path_factory.getbasetemp() / "plain.pt"
    path.write_bytes(pickle.dumps(value, protocol))
    found = scan(path)
    assert set(found.imports) <= {"_codecs.encode", "builtins.bytes", "__builtin__.bytes"}
