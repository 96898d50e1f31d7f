"""A merged file that several processes or threads write: the same bytes, and the same errors."""

import errno
import hashlib
import os
from dataclasses import replace

import pytest
from test_write import factors_of, plan_of, write_base

from ollama_pack.errors import DestinationError, InputError
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.jobs import several_cores
from ollama_pack.jobs.forked import ForkedHelper
from ollama_pack.merge import rows, write
from ollama_pack.merge.draft import DraftFile
from ollama_pack.merge.plan import plan_merge
from ollama_pack.merge.write import write_merged


@pytest.mark.skipif(not several_cores.FORKS, reason="NOT TESTED: helpers are processes on Linux only")
@pytest.mark.parametrize("merge_type", ["auto", "same", "f32"])
def test_helpers_write_the_same(tmp_path, monkeypatch, merge_type):
    """A file that several processes write has the bytes and the digest of one that this process writes."""
    kinds = {"blk.0.attn_q.weight": "Q4_1", "blk.0.ffn_up.weight": "F16", "blk.1.ffn_up.weight": "F16"}
    base = write_base(tmp_path / "base.gguf", kinds, (512, 64))
    monkeypatch.setattr(rows, "BLOCK_NUMBERS", 1 << 10)
    monkeypatch.setattr(write, "COPY_BYTES", 1 << 12)
    plan = plan_merge(
        (read_gguf(base),), plan_of("blk.0.attn_q.weight", *factors_of((512, 64)), 0.05), merge_type
    )
    alone = write_merged(plan, tmp_path / "alone.gguf")
    given, start = [], ForkedHelper.start
    monkeypatch.setattr(
        ForkedHelper, "start", lambda self, number: given.append(number) or start(self, number)
    )
    monkeypatch.setattr(several_cores, "LEAST_SHARED", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert write_merged(plan, tmp_path / "shared.gguf") == alone
    assert len(given) > 10
    assert (tmp_path / "shared.gguf").read_bytes() == (tmp_path / "alone.gguf").read_bytes()
    assert alone[0] == f"sha256:{hashlib.sha256((tmp_path / 'alone.gguf').read_bytes()).hexdigest()}"
    base.write_bytes(base.read_bytes()[:-100])
    with pytest.raises(InputError, match="ends inside the tensor") as caught:
        write_merged(plan, tmp_path / "broken.gguf")
    assert "blk.1.ffn_up" in caught.value.where
    assert not (tmp_path / "broken.gguf").exists()


@pytest.mark.parametrize("helpers", [False, True])
def test_a_disk_that_fills_up(tmp_path, monkeypatch, helpers):
    """Whichever process finds the disk full, the error names the file, and nothing is left."""
    base = write_base(
        tmp_path / "base.gguf", {"blk.0.attn_q.weight": "Q4_1", "blk.0.ffn_up.weight": "F16"}, (512, 64)
    )
    plan = plan_merge((read_gguf(base),), plan_of("blk.0.attn_q.weight", *factors_of((512, 64)), 1.0), "auto")
    monkeypatch.setattr(rows, "BLOCK_NUMBERS", 1 << 10)
    if helpers:
        monkeypatch.setattr(several_cores, "LEAST_SHARED", 0)
        monkeypatch.setattr(os, "cpu_count", lambda: 3)
    write_some, full = DraftFile._write_some, write_merged(plan, tmp_path / "whole.gguf")[1] // 2

    def fill(self: DraftFile, place: int, data: memoryview) -> int:
        if place + len(data) > full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_some(self, place, data)

    monkeypatch.setattr(DraftFile, "_write_some", fill)
    monkeypatch.setattr(DraftFile, "_copy_in_kernel", lambda *_: 0)
    with pytest.raises(DestinationError, match="The disk is full") as caught:
        write_merged(plan, tmp_path / "new" / "merged.gguf")
    assert "merged.gguf" in str(caught.value.where)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("merge_type", ["auto", "same"])
def test_where_the_system_can_less(tmp_path, monkeypatch, merge_type):
    """With threads, and without reading, writing or copying by place (Windows), the bytes are the same."""
    kinds = {"blk.0.attn_q.weight": "Q4_1", "blk.0.ffn_up.weight": "F16", "blk.1.attn_q.weight": "Q4_1"}
    base = write_base(tmp_path / "base.gguf", kinds, (512, 64))
    monkeypatch.setattr(rows, "BLOCK_NUMBERS", 1 << 10)
    monkeypatch.setattr(write, "COPY_BYTES", 1 << 12)
    lora, other = (plan_of(f"blk.{n}.attn_q.weight", *factors_of((512, 64)), 0.05) for n in (0, 1))
    both = replace(lora, tensors=(*lora.tensors, *other.tensors))
    plan = plan_merge((read_gguf(base),), both, merge_type)
    alone = write_merged(plan, tmp_path / "alone.gguf")
    monkeypatch.setattr(several_cores, "LEAST_SHARED", 0)
    monkeypatch.setattr(several_cores, "FORKS", False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for name in ("pread", "pwrite", "copy_file_range"):
        monkeypatch.delattr(os, name, raising=False)
    assert write_merged(plan, tmp_path / "less.gguf") == alone
    assert (tmp_path / "less.gguf").read_bytes() == (tmp_path / "alone.gguf").read_bytes()
