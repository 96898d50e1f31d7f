"""Importance matrices in both formats, and files that are none."""

import struct

import gguf
import numpy as np
import pytest

from ollama_pack.errors import InputError
from ollama_pack.gguf.imatrix import read_imatrix

WEIGHTS = {"blk.0.attn_q.weight": 1, "blk.0.ffn_down_exps.weight": 3}
"""Weight → how many matrices it is."""


def sums_of(name: str) -> np.ndarray:
    return np.random.default_rng(len(name)).uniform(1, 9, (WEIGHTS[name], 64)).astype(np.float32)


def write_imatrix(path, weights=WEIGHTS, counts=True):
    """Write an importance matrix as llama.cpp's program does today, and return its path."""
    writer = gguf.GGUFWriter(path, "")
    writer.add_type("imatrix")
    for name, matrices in weights.items():
        writer.add_tensor(f"{name}.in_sum2", sums_of(name))
        if counts:
            writer.add_tensor(f"{name}.counts", np.full((matrices, 1), 4, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_gguf(tmp_path):
    """The values are the means of squares, for each matrix of a weight."""
    found = read_imatrix(write_imatrix(tmp_path / "imatrix.gguf"))
    assert found.keys() == WEIGHTS.keys()
    for name, values in found.items():
        assert np.allclose(values, sums_of(name).ravel() / 4)


def older(entries) -> bytes:
    """Return a file in the older format."""
    content = struct.pack("<i", len(entries))
    for name, calls, values in entries:
        content += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", calls, len(values))
        content += np.asarray(values, "<f4").tobytes()
    return content


def test_the_older_format(tmp_path):
    """What follows the entries (how many calls, of which text) is not needed."""
    (tmp_path / "imatrix.dat").write_bytes(older([("blk.0.attn_q.weight", 4, [4, 8, 2])]) + b"\x01\0\0\0")
    found = read_imatrix(tmp_path / "imatrix.dat")
    assert found["blk.0.attn_q.weight"].tolist() == [1, 2, 0.5]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"what is this?",
        older([]),
        older([("a", 1, [np.nan])]),
        older([("a", 1, [1.0, 2.0])])[:-3],
        struct.pack("<ii", 1, 5000) + b"a" * 5000,
        struct.pack("<ii", 1, 1) + b"a" + struct.pack("<ii", 1, 1 << 30),
        b"GGUF" + b"\0" * 40,
    ],
)
def test_what_is_none(tmp_path, content):
    """Anything else is refused with the name of the file, and a file of llama.cpp's program is read."""
    (tmp_path / "imatrix.dat").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_imatrix(tmp_path / "imatrix.dat")
    assert "imatrix.dat" in str(caught.value.where)
    assert read_imatrix(write_imatrix(tmp_path / "imatrix.gguf"))


def test_missing(tmp_path):
    """A file that is not there, a directory, and sums without counts are refused."""
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(InputError):
            read_imatrix(path)
    with pytest.raises(InputError, match="counts"):
        read_imatrix(write_imatrix(tmp_path / "imatrix.gguf", counts=False))
