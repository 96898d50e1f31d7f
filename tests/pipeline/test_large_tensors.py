"""A tensor of gigabytes costs a stranger nothing to make: it is compared with the base before it is read."""

import json
import struct

import numpy as np
import pytest
from recipes import with_header

from ollama_pack.errors import InputError, PackError
from ollama_pack.gguf import tensor_data
from ollama_pack.lora.peft import finite_check
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.pipeline import inputs, prepare
from ollama_pack.pipeline.request import Request

ROWS = 1 << 36


@pytest.fixture
def huge(make_adapter):
    """Return an adapter whose B has 256 GB, nearly all of it a hole."""
    directory = make_adapter(modules=("self_attn.q_proj",), layers=(0,), rank=1)
    path = directory / "adapter_model.safetensors"
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    a, b = (next(name for name in header if f"lora_{side}" in name) for side in "AB")
    columns = header[a]["shape"][1]
    first = 4 * columns
    made = with_header(
        {
            a: {"dtype": "F32", "shape": [1, columns], "data_offsets": [0, first]},
            b: {"dtype": "F32", "shape": [ROWS, 1], "data_offsets": [first, first + 4 * ROWS]},
        },
        np.ones(columns, np.float32).tobytes(),
    )
    with path.open("wb") as file:
        file.write(made)
        file.truncate(len(made) + 4 * ROWS)
    return directory


def test_a_huge_tensor_is_not_read(huge, tiny_gguf, monkeypatch, tmp_path):
    """The shape is told to be wrong, and of the numbers few bytes were read."""
    read = []
    stored = tensor_data.read_stored
    monkeypatch.setattr(
        tensor_data, "read_stored", lambda file, tensor: read.append(tensor.nbytes) or stored(file, tensor)
    )
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    request = Request(directory=huge, base=str(tiny_gguf), out=tmp_path / "out", via="folder")
    with pytest.raises(PackError, match="q_proj"):
        prepare.prepare(inputs.resolve_inputs(request))
    assert sum(read) < 1 << 20


def test_a_large_tensor_is_read_in_pieces(make_adapter, monkeypatch):
    """What is large is looked at whole, piece by piece, and the place of a number that is none is told."""
    monkeypatch.setattr(finite_check, "LARGE_BYTES", 100)
    monkeypatch.setattr(finite_check, "SCANNED_AT_ONCE", 10)
    directory = make_adapter(modules=("self_attn.q_proj",), layers=(0,))
    path = directory / "adapter_model.safetensors"
    assert read_adapter(directory).pairs
    content = bytearray(path.read_bytes())
    content[-4:] = struct.pack("<f", float("nan"))
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"numbers \d+ to \d+: 1 of"):
        read_adapter(directory)
