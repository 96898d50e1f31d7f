"""Rows that llama.cpp quantises, in its own process: what is written, and what is said when it cannot."""

from concurrent.futures import ThreadPoolExecutor

import gguf
import numpy as np
import pytest
from ggml_builds import hide_ggml, offer_ggml

from ollama_pack.errors import UsageError
from ollama_pack.gguf import ggml_library
from ollama_pack.gguf.blocks import can_write_blocks, write_blocks
from ollama_pack.gguf.ggml_blocks import GGML_WRITES, BlockWriter, needs_ggml


@pytest.mark.llama
@pytest.mark.parametrize("kind", GGML_WRITES, ids=GGML_WRITES.values())
def test_what_is_written(kind, monkeypatch):
    """The gguf library reads the numbers back, as near as the bits of the type allow."""
    offer_ggml(monkeypatch)
    numbers = np.random.default_rng(3).normal(0, 1, (5, 512)).astype(np.float32)
    with BlockWriter() as blocks:
        raw = blocks.write(numbers, kind)
        assert np.array_equal(blocks.write(numbers, kind), raw)
    dtype = gguf.GGMLQuantizationType(kind)
    read = gguf.quants.dequantize(raw.reshape(5, -1), dtype)
    bits = 8 * raw.size / numbers.size
    assert np.sqrt(np.mean((read - numbers) ** 2)) < 2 ** (0.8 - bits / 1.2)


@pytest.mark.llama
def test_several_threads(monkeypatch):
    """Each thread gets the answer to its own question, and no process is left."""
    offer_ggml(monkeypatch)
    jobs = [np.full((2, 256), number, np.float32) for number in range(1, 40)]
    with BlockWriter() as blocks, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda numbers: blocks.write(numbers, 14), jobs))
        processes = list(blocks._all)
    assert 1 <= len(processes) <= 4
    assert all(process.returncode is not None for process in processes)
    for numbers, raw in zip(jobs, found, strict=True):
        read = gguf.quants.dequantize(raw.reshape(2, -1), gguf.GGMLQuantizationType.Q6_K)
        assert np.allclose(read, numbers, rtol=0.02)


def test_the_older_types_need_no_llama_cpp(monkeypatch):
    """What the gguf library writes, it writes."""
    hide_ggml(monkeypatch)
    numbers = np.ones((2, 64), np.float32)
    with BlockWriter() as blocks:
        for kind in (0, 1, 2, 8, 30):
            assert not needs_ggml(kind)
            assert np.array_equal(blocks.write(numbers, kind), write_blocks(numbers, kind))
    assert not any(can_write_blocks(kind) for kind in GGML_WRITES)


def test_without_llama_cpp(monkeypatch):
    """A type that needs it names the extra."""
    hide_ggml(monkeypatch)
    with BlockWriter() as blocks, pytest.raises(UsageError) as caught:
        blocks.write(np.ones((1, 256), np.float32), 14)
    assert (caught.value.code, caught.value.hint) == ("extra-missing", "pip install 'ollama-pack[try]'")


@pytest.mark.parametrize("content", [b"no library", b""])
def test_a_library_that_cannot_be_loaded(tmp_path, monkeypatch, content):
    """A library that is not one is named, with the words of the system."""
    package = tmp_path / "other_llama"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "libllama.so").write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(ggml_library, "PLACES", (("other_llama", ("*.dylib", "lib*.so")),))
    with BlockWriter() as blocks, pytest.raises(UsageError) as caught:
        blocks.write(np.ones((1, 256), np.float32), 14)
    assert caught.value.code == "extra-unusable"
    assert "libllama.so" in caught.value.where
    assert "cannot be used: " in caught.value.what


def test_a_process_that_ends(tmp_path, monkeypatch):
    """A process that ends before it answers is an error, not a wait."""
    package = tmp_path / "another_llama"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "libllama.so").touch()
    worker = tmp_path / "worker.py"
    worker.write_text("import sys\nsys.stdin.buffer.read(4)\nsys.stderr.write('assertion')\nsys.exit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(ggml_library, "PLACES", (("another_llama", ("lib*.so",)),))
    monkeypatch.setattr("ollama_pack.gguf.ggml_worker.__file__", str(worker))
    with BlockWriter() as blocks, pytest.raises(UsageError, match="assertion"):
        blocks.write(np.ones((400, 256), np.float32), 14)
