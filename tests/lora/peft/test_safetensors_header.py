"""Headers of safetensors files: right ones are read, wrong ones are named."""

import json
import os

import numpy as np
import pytest
from recipes import safetensors, with_header
from safetensors import SafetensorError
from safetensors.numpy import save

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.lora.peft.safetensors_header import (
    ITEM_SIZES,
    LARGEST_SAFETENSORS_HEADER,
    PARTIAL_DTYPES,
    read_safetensors,
)


def entry(begin=0, end=8, dtype="F32", shape=(2,)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


@pytest.fixture
def read(tmp_path):
    def read_bytes(content: bytes):
        path = tmp_path / "weights.safetensors"
        path.write_bytes(content)
        return read_safetensors(path)

    return read_bytes


def test_reads_what_the_library_writes(read):
    """Names, shapes and places are those of a file the safetensors library wrote."""
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones((4, 1), np.float16)}
    content = save(arrays, metadata={"format": "pt"})
    found = read(content)
    for name, array in arrays.items():
        tensor = found[name]
        assert tensor.shape == array.shape
        assert content[tensor.offset : tensor.offset + tensor.nbytes] == array.tobytes()


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_lora_dtypes(read, dtype):
    """The three dtypes of LoRA weights are read, with their sizes."""
    tensor = read(safetensors({"x": np.ones((3, 5))}, dtype))["x"]
    assert (tensor.dtype, tensor.nbytes) == (dtype, 15 * (4 if dtype == "F32" else 2))


def test_metadata_is_no_tensor(read):
    """``__metadata__`` is passed over."""
    assert read(with_header({"__metadata__": {"format": "pt"}})) == {}


def test_order_of_the_header_is_kept(read):
    """Tensors come as the header lists them, wherever their data lies."""
    header = {"z": entry(8, 16), "a": entry(0, 8)}
    assert list(read(with_header(header, bytes(16)))) == ["z", "a"]


def test_empty_tensors_take_no_room(read):
    """A tensor of no elements may share its place with the next."""
    header = {"x": entry(0, 8), "none": entry(0, 0, shape=(0, 4)), "last": entry(8, 8, shape=(0,))}
    assert read(with_header(header, bytes(8)))["none"].nbytes == 0


HUGE = 10**12
DAMAGED = {
    "an empty file": (b"", "inside its header"),
    "seven bytes": (b"\x00" * 7, "inside its header"),
    "a header longer than the file": ((100).to_bytes(8, "little") + b"{}", "cut short"),
    "a header of 2^64 - 1 bytes": (b"\xff" * 8 + b"{}", "cut short"),
    "a header that is not JSON": (with_header(b"{nonsense"), "not JSON"),
    "a header that is not UTF-8": (with_header(b'{"\xff": 1}'), "not JSON"),
    "a header nested without end": (with_header(b"[" * 100_000), "not JSON"),
    "a header with a number of 5000 digits": (with_header(b'{"x": ' + b"9" * 5000 + b"}"), "not JSON"),
    "a header that is a list": (with_header([]), "not a JSON object"),
    "a name twice": (with_header(b'{"x": 1, "x": 2}'), "occurs twice"),
    "a key twice": (with_header(b'{"x": {"dtype": "F32", "dtype": "F16"}}'), "occurs twice"),
    "an entry that is a number": (with_header({"x": 5}), "lacks dtype"),
    "an entry without offsets": (with_header({"x": {"dtype": "F32", "shape": []}}), "lacks dtype"),
    "one offset": (with_header({"x": {**entry(), "data_offsets": [0]}}), "lacks dtype"),
    "offsets that are texts": (with_header({"x": {**entry(), "data_offsets": ["0", "8"]}}), "lacks dtype"),
    "a shape that is no list": (with_header({"x": {**entry(), "shape": 2}}), "lacks dtype"),
    "a negative extent": (with_header({"x": entry(shape=(-2,))}), "shape is not a list"),
    "a fractional extent": (with_header({"x": entry(shape=(2.0,))}), "shape is not a list"),
    "an extent that is true": (with_header({"x": entry(shape=(True,))}), "shape is not a list"),
    "an extent of 2^40": (with_header({"x": entry(shape=(2**40,))}), "shape is not a list"),
    "hundreds of dimensions": (with_header({"x": entry(shape=(2**39,) * 400)}), "shape is not a list"),
    "an unknown dtype": (with_header({"x": entry(dtype="F33")}), "'F33' is unknown"),
    "offsets of another size": (with_header({"x": entry(0, 12)}, bytes(12)), "do not hold"),
    "offsets backwards": (with_header({"x": entry(8, 0)}, bytes(8)), "do not hold"),
    "a negative offset": (with_header({"x": entry(-8, 0)}, bytes(8)), "do not hold"),
    "data beyond the file": (with_header({"x": entry()}, bytes(7)), "1 bytes are missing"),
    "offsets far beyond the file": (with_header({"x": entry(HUGE, HUGE + 8)}, bytes(8)), "cut short"),
    "an overlap": (with_header({"x": entry(0, 8), "y": entry(4, 12)}, bytes(12)), "overlaps"),
    "a hole": (with_header({"x": entry(0, 8), "y": entry(12, 20)}, bytes(20)), "leaves a hole"),
    "a hole at the start": (with_header({"x": entry(4, 12)}, bytes(12)), "leaves a hole"),
    "bytes after the last tensor": (with_header({"x": entry()}, bytes(11)), "3 bytes follow"),
}


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged(read, content, message):
    """A damaged file is an InputError that says what is wrong and names the file."""
    with pytest.raises(InputError, match=message) as caught:
        read(content)
    assert "weights.safetensors" in caught.value.where


def test_damage_names_the_tensor(read):
    """What is wrong with one tensor is told with its name."""
    with pytest.raises(InputError) as caught:
        read(with_header({"fine": entry(0, 8), "model.x": entry(8, 16)}, bytes(9)))
    assert caught.value.where.endswith(": model.x")


@pytest.mark.parametrize("dtype", sorted(ITEM_SIZES.keys() - {"C64"}))
def test_dtypes_beside_a_lora(read, dtype):
    """A frozen copy of a base may have any dtype: its header is read."""
    size = ITEM_SIZES[dtype]
    assert read(with_header({"x": entry(0, size, dtype, [1])}, bytes(size)))["x"].dtype == dtype


@pytest.mark.parametrize("dtype", sorted(PARTIAL_DTYPES))
def test_other_dtypes(read, dtype):
    """A dtype of the format that no LoRA has is not damage, but cannot be taken."""
    with pytest.raises(UnsupportedError, match=f"stored as {dtype}"):
        read(with_header({"x": entry(dtype=dtype)}, bytes(8)))


@pytest.mark.parametrize(
    "content",
    [
        with_header({"__metadata__": {"format": 3}, "x": entry()}, bytes(8)),
        with_header({"x": entry(), "__metadata__": ["pt"]}, bytes(8)),
    ],
    ids=["metadata that is a number", "metadata that is a list"],
)
def test_the_library_has_the_last_word(read, content):
    """What our checks let pass and the library refuses is an InputError with the library's words."""
    with pytest.raises(InputError, match="safetensors library refuses the file") as caught:
        read(content)
    assert "weights.safetensors" in caught.value.where
    assert isinstance(caught.value.__cause__, SafetensorError)


def test_a_pipe_is_not_waited_for(tmp_path):
    """A pipe in place of the file is refused at once; opening it would wait for a writer."""
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(InputError, match="it is not a regular file"):
        read_safetensors(tmp_path / "pipe.safetensors")


def test_missing_file(tmp_path):
    """A file that is not there is an InputError with the system's reason."""
    with pytest.raises(InputError, match="No such file"):
        read_safetensors(tmp_path / "none.safetensors")


def test_directory_in_its_place(tmp_path):
    """A directory where the file should be is an InputError."""
    with pytest.raises(InputError, match="Is a directory"):
        read_safetensors(tmp_path)


def test_header_bound(tmp_path):
    """No header above the format's bound is read, even where the file is long enough."""
    path = tmp_path / "sparse.safetensors"
    with path.open("wb") as file:
        file.write((LARGEST_SAFETENSORS_HEADER + 1).to_bytes(8, "little"))
        file.truncate(LARGEST_SAFETENSORS_HEADER + 100)
    with pytest.raises(InputError, match="claims 100000001 bytes"):
        read_safetensors(path)


def test_header_may_be_padded(read):
    """Spaces after the JSON are allowed; writers align the data with them."""
    content = with_header(json.dumps({"x": entry()}).encode() + b"   ", bytes(8))
    assert read(content)["x"].offset == len(content) - 8


def test_a_pointer_of_git_lfs_is_told(tmp_path):
    """What a clone without LFS has in place of the weights is recognised."""
    path = tmp_path / "adapter_model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:01\nsize 4\n")
    with pytest.raises(InputError, match="LFS") as caught:
        read_safetensors(path)
    assert "lfs pull" in caught.value.hint
