"""The numbers of the format are those of gguf-py."""

import struct

import gguf
import pytest

from ollama_pack.gguf import constants, ggml_types


def test_constants():
    """Magic, version and alignment are gguf-py's."""
    assert int.from_bytes(constants.MAGIC, "little") == gguf.GGUF_MAGIC
    assert constants.VERSION == gguf.GGUF_VERSION
    assert constants.ALIGNMENT == gguf.GGUF_DEFAULT_ALIGNMENT
    assert constants.VERSION in constants.READABLE_VERSIONS


@pytest.mark.parametrize("kind", gguf.GGUFValueType, ids=lambda kind: kind.name)
def test_value_types(kind):
    """Every value type has gguf-py's number."""
    assert getattr(constants, kind.name) == kind.value


@pytest.mark.parametrize(("kind", "code"), constants.SCALARS.items())
def test_scalars(kind, code):
    """The size of every scalar is the one its name says; a bool is one byte."""
    name = gguf.GGUFValueType(kind).name
    bits = 8 if name == "BOOL" else int(name.lstrip("UINTFLOA"))
    assert struct.calcsize("<" + code) * 8 == bits


@pytest.mark.parametrize(("number", "name"), ggml_types.TENSOR_TYPES.items())
def test_tensor_types(number, name):
    """The types LoRA tensors come in have gguf-py's numbers."""
    assert gguf.GGMLQuantizationType(number).name == name


@pytest.mark.parametrize("kind", gguf.LlamaFileType, ids=lambda kind: kind.name)
def test_file_types(kind):
    """Every quantisation gguf-py knows has its name."""
    if kind.name != "GUESSED":
        name = kind.name.removeprefix("ALL_").removeprefix("MOSTLY_")
        assert constants.FILE_TYPES[kind.value] == name


def test_blocks():
    """Every ggml type has the block gguf-py gives it."""
    assert {int(kind): block for kind, block in gguf.GGML_QUANT_SIZES.items()} == ggml_types.BLOCKS
