"""Laws of the safetensors reader: what is whole is read, what is not never breaks it."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipes import safetensors, with_header
from safetensors.numpy import save

from ollama_pack.errors import InputError, PackError
from ollama_pack.lora.peft.safetensors_header import read_safetensors

pytestmark = pytest.mark.property

shapes = st.lists(st.integers(0, 5), max_size=3).map(tuple)
files = st.dictionaries(st.text(min_size=1, max_size=8), shapes, min_size=1, max_size=5)
SAMPLE = safetensors({"a": np.ones((2, 3)), "b.lora_A.weight": np.zeros((1, 4))}, "BF16")


def read(content: bytes):
    with TemporaryDirectory() as directory:
        path = Path(directory) / "x.safetensors"
        path.write_bytes(content)
        return read_safetensors(path)


@given(files, st.sampled_from([np.float32, np.float16]))
def test_whole_files(names, dtype):
    """Any file the safetensors library writes is read: names, shapes and places."""
    arrays = {name: np.full(shape, index, dtype) for index, (name, shape) in enumerate(names.items())}
    arrays.pop("__metadata__", None)
    content = save(arrays)
    found = read(content)
    assert {name: tensor.shape for name, tensor in found.items()} == {n: a.shape for n, a in arrays.items()}
    for name, tensor in found.items():
        assert content[tensor.offset : tensor.offset + tensor.nbytes] == arrays[name].tobytes()


@given(st.integers(0, len(SAMPLE) - 1))
def test_any_truncation(length):
    """A file cut at any byte is an InputError."""
    with pytest.raises(InputError):
        read(SAMPLE[:length])


@given(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255))
def test_any_byte_changed(position, byte):
    """A file with any byte changed is an error a user can act on, or still covers its data exactly."""
    content = SAMPLE[:position] + bytes([byte]) + SAMPLE[position + 1 :]
    try:
        found = read(content)
    except PackError:
        return
    start = 8 + int.from_bytes(content[:8], "little")
    assert sum(tensor.nbytes for tensor in found.values()) == len(content) - start


@given(st.binary(max_size=200))
def test_any_bytes(content):
    """Any bytes at all are read or refused, with no traceback."""
    try:
        read(len(content).to_bytes(8, "little") + content)
    except PackError as error:
        assert str(error)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "BF16", "F64", "X"]) | json_values,
        "shape": st.lists(st.integers(-1, 2**41), max_size=3) | json_values,
        "data_offsets": st.lists(st.integers(-1, 40) | st.integers(), max_size=3) | json_values,
    },
)


@given(st.dictionaries(st.text(max_size=5), entries | json_values, max_size=3), st.integers(0, 40))
def test_any_header(header, size):
    """Any JSON in the header is read or refused, with no traceback."""
    try:
        read(with_header(header, bytes(size)))
    except PackError as error:
        assert str(error)
