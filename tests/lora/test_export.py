"""Files are written whole, the same every time, or not at all."""

import hashlib
import os
from dataclasses import replace

import numpy as np
import pytest
from gguf import GGUFReader

from ollama_pack.errors import DestinationError, InputError, UnsupportedError
from ollama_pack.gguf import writer
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.lora import export
from ollama_pack.lora.export import planned_size, write_lora
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.plan import LoraPlan
from ollama_pack.lora.planner import plan_lora


@pytest.fixture
def plan(make_adapter, tiny_base) -> LoraPlan:
    """Return the plan of a plain adapter."""
    return plan_lora(read_adapter(make_adapter()), tiny_base)


@pytest.fixture
def out(tmp_path):
    """Return a path in an empty directory."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out/lora.gguf"


@pytest.mark.parametrize(("outtype", "kind"), [("f16", "F16"), ("f32", "F32")])
def test_what_gguf_reads(plan, out, outtype, kind):
    """gguf-py finds every tensor of the plan, in its order, of the one type, aligned."""
    write_lora(plan, out, outtype)
    tensors = GGUFReader(out).tensors
    assert [tensor.name for tensor in tensors] == [tensor.name for tensor in plan.tensors]
    assert {tensor.tensor_type.name for tensor in tensors} == {kind}
    assert all(tensor.data_offset % 32 == 0 for tensor in tensors)


def test_metadata(plan, out):
    """Kind, architecture, alpha and the lineage are in the file, and nothing else."""
    write_lora(plan, out, "f16")
    assert read_gguf(out).metadata == {
        "general.architecture": "llama",
        "general.type": "adapter",
        "general.base_model.0.name": "tiny",
        "general.base_model.0.organization": "tests",
        "general.base_model.0.repo_url": "https://huggingface.co/tests/tiny",
        "general.base_model.count": 1,
        "adapter.type": "lora",
        "adapter.lora.alpha": 6.0,
    }


def test_lora_file(plan, out):
    """What comes back tells the file's path, size, type, and the digest of its bytes."""
    made = write_lora(plan, out, "f16")
    content = out.read_bytes()
    assert (made.path, made.size, made.outtype) == (out, len(content), "f16")
    assert made.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.mark.parametrize("chunk", [7, 4096], ids=["pieces of 7 bytes", "pieces of 4 KiB"])
def test_digest_in_pieces(plan, out, monkeypatch, chunk):
    """The digest is that of the bytes, whatever pieces the follower reads them in."""
    monkeypatch.setattr(writer, "HASH_CHUNK", chunk)
    made = write_lora(plan, out, "f32")
    assert made.digest == f"sha256:{hashlib.sha256(out.read_bytes()).hexdigest()}"


def test_plan_without_tensors(plan, out):
    """A plan of no tensors is a header, with the digest of the header."""
    made = write_lora(replace(plan, tensors=()), out, "f16")
    assert made.digest == f"sha256:{hashlib.sha256(out.read_bytes()).hexdigest()}"
    assert len(out.read_bytes()) == made.size


def test_metadata_order_does_not_matter(plan, tmp_path):
    """The bytes do not depend on the order of a dictionary."""
    backwards = replace(plan, metadata=dict(reversed(plan.metadata.items())))
    made = [write_lora(each, tmp_path / "x.gguf", "f16").digest for each in (plan, backwards)]
    assert made[0] == made[1]


@pytest.mark.parametrize("outtype", ["f16", "f32"])
@pytest.mark.parametrize("note", ["", "x" * 7, "x" * 32])
def test_planned_size(plan, out, outtype, note):
    """The size is known before a byte is written, whatever the header's length is."""
    longer = replace(plan, metadata={**plan.metadata, "general.note": note})
    assert planned_size(longer, outtype) == write_lora(longer, out, outtype).size == out.stat().st_size


def test_weights_of_several_files(plan, make_adapter, tiny_base, tmp_path):
    """Tensors of two files are written side by side, and no file stays open."""
    other = plan_lora(read_adapter(make_adapter("other", seed=5, modules=("q_proj",))), tiny_base)
    renamed = [tensor._replace(name=f"other.{tensor.name}") for tensor in other.tensors]
    mixed = [tensor for pair in zip(plan.tensors, renamed, strict=False) for tensor in pair]
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH112, PTH208
    write_lora(replace(plan, tensors=tuple(mixed)), tmp_path / "mixed.gguf", "f32")
    after = len(os.listdir("/proc/self/fd")) if before else 0  # noqa: PTH208
    assert len(read_gguf(tmp_path / "mixed.gguf").shapes) == len(mixed)
    assert after == before


def test_replaces_a_file(plan, out):
    """A file of the same name is replaced, and readable for everybody."""
    out.write_text("old")
    write_lora(plan, out, "f16")
    assert out.read_bytes().startswith(b"GGUF")
    assert out.stat().st_mode & 0o777 == 0o644


def test_check_sees_the_whole_file(plan, out):
    """The check is given the finished file, under another name in the same directory."""
    seen = []
    write_lora(plan, out, "f16", lambda draft: seen.append((draft.parent, out.exists(), draft.read_bytes())))
    assert seen == [(out.parent, False, out.read_bytes())]


@pytest.mark.parametrize("failure", [InputError("no"), KeyboardInterrupt(), ValueError("a bug")], ids=repr)
@pytest.mark.parametrize("existing", [False, True], ids=["nothing there", "a file there"])
def test_failing_check(plan, out, failure, existing):
    """Whatever the check raises comes through, no draft stays, and an older file is left alone."""
    if existing:
        out.write_text("old")

    def check(_draft):
        raise failure

    with pytest.raises(type(failure)):
        write_lora(plan, out, "f16", check)
    assert [path.name for path in out.parent.iterdir()] == (["lora.gguf"] if existing else [])
    assert not existing or out.read_text() == "old"


def test_interrupted_between_tensors(plan, out, monkeypatch):
    """Ctrl-C in the middle leaves nothing behind."""
    casts = iter(range(5))

    def cast(*_arguments):
        if next(casts, None) is None:
            raise KeyboardInterrupt
        return np.ones((3, 4), np.float16)

    monkeypatch.setattr(export, "cast_tensor", cast)
    with pytest.raises(KeyboardInterrupt):
        write_lora(plan, out, "f16")
    assert list(out.parent.iterdir()) == []


def test_diverged_weights(make_adapter, tiny_base, out):
    """A NaN that comes into the weights after they were read stops the writing, and leaves nothing behind."""
    name = "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight"
    adapter = read_adapter(make_adapter())
    make_adapter(extra={name: np.full((20, 3), np.nan)})
    with pytest.raises(InputError, match="NaN") as caught:
        write_lora(plan_lora(adapter, tiny_base), out, "f16")
    assert caught.value.where.endswith(name)
    assert list(out.parent.iterdir()) == []


def test_too_large_weights(make_adapter, tiny_base, out):
    """A weight beyond f16 is refused there, and written as f32."""
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"
    plan = plan_lora(read_adapter(make_adapter(extra={name: np.full((24, 3), 1e6)})), tiny_base)
    with pytest.raises(UnsupportedError, match="too large for f16"):
        write_lora(plan, out, "f16")
    write_lora(plan, out, "f32")
    assert [path.name for path in out.parent.iterdir()] == ["lora.gguf"]


def test_weights_that_vanish(plan, make_adapter, out):
    """Weights that are gone when they are read are an InputError."""
    (make_adapter() / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match="Cannot read the weights"):
        write_lora(plan, out, "f16")
    assert list(out.parent.iterdir()) == []


def test_new_directory(plan, tmp_path):
    """A directory that is not there is made."""
    write_lora(plan, tmp_path / "new/and/deeper/lora.gguf", "f16")
    assert (tmp_path / "new/and/deeper/lora.gguf").exists()


def test_file_for_a_directory(plan, tmp_path):
    """A file where the directory should be is a DestinationError with the option that helps."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DestinationError) as caught:
        write_lora(plan, tmp_path / "file/lora.gguf", "f16")
    assert "--out" in caught.value.hint


def test_directory_in_its_place(plan, out):
    """A directory of the file's name is left alone, and no draft stays."""
    out.mkdir()
    with pytest.raises(DestinationError):
        write_lora(plan, out, "f16")
    assert [path.name for path in out.parent.iterdir()] == ["lora.gguf"]


def test_full_disk(plan, out, monkeypatch):
    """A disk that is full is a DestinationError with the system's reason, and no draft stays."""

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export.os, "fsync", full)
    with pytest.raises(DestinationError, match="disk is full"):
        write_lora(plan, out, "f16")
    assert list(out.parent.iterdir()) == []


def test_file_that_shrinks_while_hashed(plan, out):
    """A file that becomes shorter under the writer has no digest, and does not appear."""
    with pytest.raises(DestinationError, match="shorter"):
        write_lora(plan, out, "f16", lambda draft: os.truncate(draft, 100))
    assert list(out.parent.iterdir()) == []
