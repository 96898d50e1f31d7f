"""What the tensors of an adapter are made from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ollama_pack.gguf.tensors import LazyTensor, StoredTensor, leaves
from ollama_pack.lora.adapter import LoraPair, dtypes_of, leaves_of, trained_tensors
from ollama_pack.lora.algebra import concatenate, scale_rows_by_tensor, transpose
from ollama_pack.lora.combine import sum_adapters
from ollama_pack.lora.peft.load import read_adapter


def stored(name, *shape):
    return StoredTensor(Path("x"), name, "F16", shape, 0, 0)


A, E, B = stored("a", 2, 5), stored("e", 2, 1), stored("b", 7, 2)
READ = LazyTensor(Path("x"), "read", (2, 5), (), lambda: np.ones((2, 5)))


@pytest.mark.parametrize(
    ("tensor", "found"),
    [
        pytest.param(A, [A], id="one in a file is its own"),
        pytest.param(READ, [READ], id="one that torch has read is its own"),
        pytest.param(scale_rows_by_tensor(A, E), [A, E], id="a product has its parts"),
        pytest.param(
            transpose(concatenate([scale_rows_by_tensor(A, E), A], -2)),
            [A, E, A],
            id="parts of parts, in order",
        ),
    ],
)
def test_leaves(tensor, found):
    """The leaves of a tensor are what lies in files, however deep."""
    assert list(leaves(tensor)) == found


def test_leaves_of_a_pair():
    """A pair has the leaves of A, then those of B."""
    assert list(leaves_of(LoraPair("m", scale_rows_by_tensor(A, E), B, 1.0))) == [A, E, B]


def test_trained_tensors(make_adapter):
    """Every tensor of the file is told once, also where two pairs share it."""
    adapter = read_adapter(make_adapter(modules=("q_proj",), layers=(0,)))
    (pair,) = adapter.pairs
    twice = replace(adapter, pairs=(pair, pair._replace(module="other")))
    assert trained_tensors(twice) == (pair.a, pair.b)


def test_same_names_in_two_files(tmp_path, make_adapter):
    """Tensors of one name in two files are two."""
    adapters = [
        read_adapter(make_adapter(name, modules=("q_proj",), layers=(0,), dtype=dtype))
        for name, dtype in (("one", "F32"), ("two", "BF16"))
    ]
    summed = sum_adapters(adapters, (1.0, 1.0))
    assert len(trained_tensors(summed)) == 4
    assert dtypes_of(summed) == ("BF16", "F32")


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_dtypes(make_adapter, dtype):
    """The dtype is the file's."""
    assert dtypes_of(read_adapter(make_adapter(dtype=dtype))) == (dtype,)


def test_dtype_of_what_torch_has_read(make_adapter):
    """What torch has read is float32 by now."""
    adapter = read_adapter(make_adapter())
    assert dtypes_of(replace(adapter, pairs=(LoraPair("m", READ, READ, 1.0),))) == ("F32",)
