"""New rows of a quantised vocabulary: the gguf library, which did not write them, says what they hold."""

import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest
from archive import unpacked
from ggml_builds import offer_ggml
from recipes import read_numbers, safetensors
from terminal import run

from ollama_pack.gguf.ggml_blocks import BlockWriter, needs_ggml

RECORDED = unpacked("resized", "llama")
WIDTH, OLD, NEW = 256, 80, 88
WIDER = {24: WIDTH, 40: WIDTH}
"""Lengths of rows of the recorded model that no block fits into, and what they are here."""

VOCABULARY = {"token_embd.weight": "model.embed_tokens.weight", "output.weight": "lm_head.weight"}
KINDS = ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K")


def bytes_of(numbers: np.ndarray, kind: str) -> np.ndarray:
    """Return numbers in a type: by the gguf library, or by llama.cpp where that library cannot."""
    dtype = gguf.GGMLQuantizationType[kind]
    if not needs_ggml(dtype):
        return gguf.quants.quantize(numbers, dtype)
    with BlockWriter() as blocks:
        return blocks.write(numbers, dtype).reshape(len(numbers), -1)


def wide(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(WIDER.get(size, size) for size in shape)


def write_base(path: Path, kind: str) -> Path:
    """Write the recorded base with rows of 256 numbers, and every matrix in a type."""
    recorded, random = gguf.GGUFReader(RECORDED / "base.gguf"), np.random.default_rng(3)
    writer = gguf.GGUFWriter(path, "llama")
    for key, field in recorded.fields.items():
        if not key.startswith(("GGUF.", "general.architecture")):
            inner = field.types[1] if len(field.types) > 1 else None
            value = WIDTH if key.endswith(("embedding_length", "feed_forward_length")) else field.contents()
            writer.add_key_value(key, value, field.types[0], inner)
    for tensor in recorded.tensors:
        numbers = random.normal(0, 0.1, wide(tuple(reversed(tensor.shape.tolist())))).astype(np.float32)
        is_matrix = numbers.ndim > 1 and numbers.shape[-1] == WIDTH
        held = bytes_of(numbers, kind) if is_matrix else numbers
        writer.add_tensor(
            tensor.name, held, raw_dtype=gguf.GGMLQuantizationType[kind if is_matrix else "F32"]
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def decoded(path: Path) -> dict[str, tuple[str, np.ndarray, np.ndarray]]:
    """Return type, bytes and numbers of each matrix, as the gguf library reads them."""
    return {
        each.name: (each.tensor_type.name, each.data, gguf.quants.dequantize(each.data, each.tensor_type))
        for each in gguf.GGUFReader(path).tensors
        if len(each.shape) > 1
    }


def write_wide_adapter(home: Path, base: Path) -> dict[str, np.ndarray]:
    """Write the recorded adapter for the wide base, and return the new rows that it was trained with.

    The rows that the base has are its own: only new ones were trained.
    """
    shutil.copytree(RECORDED / "padded", home)
    random, held, there = np.random.default_rng(4), {}, decoded(base)
    for name, numbers in sorted(read_numbers(home / "adapter_model.safetensors").items()):
        held[name] = random.normal(0, 0.1, wide(numbers.shape)).astype(np.float32)
    new = {}
    for tensor, module in VOCABULARY.items():
        (name,) = (each for each in held if each.endswith(module))
        held[name][:OLD] = there[tensor][2]
        new[tensor] = held[name][OLD:]
    (home / "adapter_model.safetensors").write_bytes(safetensors(held))
    return new


CASES = [(kind, merge_type) for kind in KINDS for merge_type in ("auto", "same")]
CASES += [("Q4_0", "f16"), ("Q6_K", "f16"), ("Q4_1", "q6_k"), ("Q8_0", "q6_k")]


@pytest.mark.parametrize(("kind", "merge_type"), CASES)
def test_new_rows(tmp_path, monkeypatch, kind, merge_type):
    """New rows are what was trained, rounded once to the type; rows of before are the base's own codes."""
    written = {"auto": "Q8_0", "same": kind}.get(merge_type, merge_type.upper())
    if any(needs_ggml(gguf.GGMLQuantizationType[each]) for each in (kind, written)):
        offer_ggml(monkeypatch)
    base = write_base(tmp_path / "base.gguf", kind)
    new = write_wide_adapter(tmp_path / "ada", base)
    words = ("--base", base, "--out", tmp_path / "m.gguf", "--merge-type", merge_type, "--min-kept", "0.5")
    ran = run("merge", tmp_path / "ada", *words)
    assert ran.code == 0, ran.stderr
    before, after = decoded(base), decoded(tmp_path / "m.gguf")
    for tensor, rows in new.items():
        found, held, numbers = after[tensor]
        assert (found, numbers.shape) == (written, (NEW, WIDTH))
        assert np.array_equal(held[OLD:], bytes_of(rows, written)), "what another writer makes of these rows"
        step = np.abs(rows).reshape(len(rows), -1, 16).max(axis=2).max() / HALF_STEPS[written]
        assert 0 < np.abs(numbers[OLD:] - rows).max() <= step
        if written == kind:
            assert np.array_equal(held[:OLD], before[tensor][1]), "nothing was trained of these rows"
        else:
            old = before[tensor][2]
            assert np.abs(numbers[:OLD] - old).max() <= np.abs(old).max() / HALF_STEPS[written]


HALF_STEPS = {"Q8_0": 225, "F16": 2047, "Q4_0": 7, "Q4_1": 14, "Q5_0": 15, "Q5_1": 30}
HALF_STEPS |= {"Q4_K": 7, "Q5_K": 15, "Q6_K": 31}
"""Type → the largest number of a block over the largest error of its rounding, with some room."""
