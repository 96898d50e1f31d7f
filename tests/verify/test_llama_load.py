"""What llama.cpp refuses to load is named from the two headers alone; what it loads is not."""

from dataclasses import replace

import gguf
import numpy as np
import pytest
from asking import ABORTED, LLAMAS, REFUSED, Question, find_llama
from tiny_model import BLOCKS, make_adapter, make_base

from ollama_pack.gguf.reader import read_gguf
from ollama_pack.verify.llama_load import load_errors, scrambled_by_ollama

Q = "blk.0.attn_q.weight"
A, B = np.zeros((4, 32), np.float32), np.zeros((32, 4), np.float32)

SPEAKING = (70, 71)
"""Tokens after which the base does not end its answer, of which a prebuilt build would tell nothing."""


def write(path, tensors, *, arch="llama", kind="adapter", method="lora", alpha=8.0):
    """Write an adapter as it is told."""
    writer = gguf.GGUFWriter(path, arch)
    writer.add_type(kind)
    writer.add_string("adapter.type", method)
    (writer.add_float32 if isinstance(alpha, float) else writer.add_uint32)("adapter.lora.alpha", alpha)
    for name, array in tensors.items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


PAIR = {f"{Q}.lora_a": A, f"{Q}.lora_b": B}
EMBEDDING = {
    "token_embd.weight.lora_a": np.zeros((313, 4), np.float32),
    "token_embd.weight.lora_b": np.zeros((32, 4), np.float32),
}
CASES = {
    "fits": (PAIR, {}, ""),
    "embedding": (EMBEDDING, {}, ""),
    "a norm is passed over": (PAIR | {"blk.0.attn_norm.weight": np.ones(32, np.float32)}, {}, ""),
    "another architecture": (PAIR, {"arch": "qwen2"}, "the adapter is for qwen2, the base is llama"),
    "no adapter": (PAIR, {"kind": "model"}, "general.type is 'model'"),
    "another method": (PAIR, {"method": "ia3"}, "adapter.type is 'ia3'"),
    "alpha is whole": (PAIR, {"alpha": 8}, "is not a float32"),
    "one layer too many": (
        {f"blk.{BLOCKS}.attn_q.weight.lora_a": A, f"blk.{BLOCKS}.attn_q.weight.lora_b": B},
        {},
        f"the base has no blk.{BLOCKS}.attn_q.weight",
    ),
    "a alone": ({f"{Q}.lora_a": A}, {}, "has only .lora_a"),
    "b alone": ({f"{Q}.lora_b": B}, {}, "has only .lora_b"),
    "another ending": (PAIR | {f"{Q}.lora_magnitude": np.zeros((32, 1), np.float32)}, {}, "does not end in"),
    "too wide": (
        PAIR | {f"{Q}.lora_a": np.zeros((4, 64), np.float32)},
        {},
        "expects 32×64, the base has 32×32",
    ),
    "too high": (
        PAIR | {f"{Q}.lora_b": np.zeros((64, 4), np.float32)},
        {},
        "expects 64×32, the base has 32×32",
    ),
    "two ranks": (PAIR | {f"{Q}.lora_b": np.zeros((32, 8), np.float32)}, {}, "A has rank 4, B has rank 8"),
    "embedding too wide": (
        EMBEDDING | {"token_embd.weight.lora_b": np.zeros((64, 4), np.float32)},
        {},
        "the adapter expects 313×64",
    ),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("fit") / "base.gguf")


@pytest.mark.llama
@pytest.mark.parametrize("name", LLAMAS)
@pytest.mark.parametrize("case", CASES)
def test_misfits(case, name, base, tmp_path):
    """The reason is named, once; and llama.cpp loads what has none, and nothing else."""
    tensors, settings, says = CASES[case]
    path = write(tmp_path / "lora.gguf", tensors, **settings)
    header = read_gguf(base)
    found = load_errors(read_gguf(path), header.metadata, header.shapes)
    assert len(found) == bool(says)
    assert all(says in why for why in found)
    scratch = tmp_path / "asked"
    scratch.mkdir()
    asked = Question(base, SPEAKING, (path,))
    (answer,) = find_llama(name).ask(asked, scratch)
    if found:
        assert answer == (ABORTED if case == "alpha is whole" else REFUSED)
    else:
        assert isinstance(answer, np.ndarray), answer


def test_a_translated_base(base, tmp_path):
    """A base in a form of Ollama's own is called otherwise by llama.cpp, and so are some of its tensors."""
    adapter = read_gguf(write(tmp_path / "lora.gguf", PAIR, arch="gpt-oss"))
    header = replace(read_gguf(base), metadata={"general.architecture": "gptoss"})
    assert load_errors(adapter, header.metadata, {}) == []
    assert load_errors(read_gguf(make_adapter(tmp_path / "l.gguf").path), header.metadata, {})


@pytest.mark.parametrize(
    ("version", "heads", "tensors", "scrambled"),
    [
        (True, True, PAIR, True),
        (False, True, PAIR, False),
        (True, False, PAIR, False),
        (True, True, {"blk.0.attn_v.weight.lora_a": A, "blk.0.attn_v.weight.lora_b": B}, False),
    ],
)
def test_scrambled_by_ollama(tmp_path, version, heads, tensors, scrambled):
    """What Ollama's own converter made of a Llama's q and k is known by what it writes beside."""
    path = write(tmp_path / "lora.gguf", tensors)
    metadata = dict(read_gguf(path).metadata)
    metadata |= {"general.version": "v0.2"} if version else {}
    metadata |= {"llama.attention.head_count": 4} if heads else {}
    assert scrambled_by_ollama(replace(read_gguf(path), metadata=metadata)) is scrambled
