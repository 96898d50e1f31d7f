"""Numbers come out of files exactly."""

import numpy as np
import pytest
from recipes import read_numbers, safetensors, with_header

from ollama_pack.errors import InputError
from ollama_pack.gguf.tensor_data import (
    CHUNK_ELEMENTS,
    TensorReader,
    all_finite,
    open_weights,
    read_stored,
    to_float32,
)
from ollama_pack.lora.peft.safetensors_header import read_safetensors


@pytest.fixture
def stored(tmp_path):
    """Return a function that stores numbers in a dtype and gives the tensor of the second one."""

    def store(array, dtype):
        path = tmp_path / "weights.safetensors"
        path.write_bytes(safetensors({"before": np.ones(3), "x": np.asarray(array)}, dtype))
        return read_safetensors(path)["x"]

    return store


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_reads_what_the_library_reads(stored, dtype):
    """Every dtype is read as the safetensors library reads it, in shape and value."""
    tensor = stored(np.random.default_rng(0).normal(size=(5, 7)), dtype)
    with TensorReader() as weights:
        found = weights.float32(tensor)
    assert found.dtype == np.float32
    assert np.array_equal(found, read_numbers(tensor.path)["x"])


@pytest.mark.parametrize(("dtype", "kind"), [("F64", "<f8"), ("U8", "u1"), ("I16", "<i2"), ("I64", "<i8")])
def test_what_is_float32_once_it_is_read(tmp_path, dtype, kind):
    """float64 is rounded as PEFT rounds it, and integers are what they are."""
    numbers = (np.arange(6).reshape(2, 3) / (3 if dtype == "F64" else 1)).astype(kind)
    header = {"x": {"dtype": dtype, "shape": [2, 3], "data_offsets": [0, numbers.nbytes]}}
    path = tmp_path / "x.safetensors"
    path.write_bytes(with_header(header, numbers.tobytes()))
    with TensorReader() as weights:
        found, stored_as = weights.read_raw(read_safetensors(path)["x"])
    assert stored_as == "F32"
    assert np.array_equal(found, numbers.astype(np.float32))


@pytest.mark.parametrize(
    ("bits", "number"),
    [
        pytest.param(0x3F80, 1.0, id="one"),
        pytest.param(0xC049, -3.140625, id="minus pi"),
        pytest.param(0x0001, 2.0**-133, id="the smallest bfloat16"),
        pytest.param(0x7F7F, 255 * 2.0**120, id="the largest bfloat16"),
        pytest.param(0x7F80, np.inf, id="infinity"),
    ],
)
def test_widened_bfloat16(bits, number):
    """A bfloat16 is the upper half of the float32 it stands for."""
    assert to_float32(np.array([bits], np.uint16), "BF16")[0] == number


def test_all_float16():
    """For each of the 65536 float16, arithmetic on bits gives what numpy's cast gives, NaN or not."""
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    for numbers in (every, every[np.isfinite(every)]):
        found = to_float32(numbers, "F16")
        with np.errstate(invalid="ignore"):
            expected = numbers.astype(np.float32)
        assert np.array_equal(found, expected, equal_nan=True)
        assert np.array_equal(np.signbit(found), np.signbit(expected))


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
@pytest.mark.parametrize(
    "size", [CHUNK_ELEMENTS - 1, CHUNK_ELEMENTS, CHUNK_ELEMENTS + 1, 2 * CHUNK_ELEMENTS + 7]
)
def test_more_than_a_block(stored, dtype, size):
    """Numbers at the seam of two blocks are widened like all others."""
    tensor = stored(np.random.default_rng(size).normal(size=size), dtype)
    with TensorReader() as weights:
        assert np.array_equal(weights.float32(tensor), read_numbers(tensor.path)["x"])


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(
    "bad", [np.nan, -np.nan, np.inf, -np.inf], ids=["NaN", "-NaN", "infinity", "-infinity"]
)
def test_not_finite(dtype, bad):
    """One NaN or infinity of either sign is seen among numbers of either sign."""
    largest = np.finfo(dtype).max
    numbers = np.array([largest, -largest, 0, bad, -0.0], dtype)
    assert not all_finite(numbers)
    numbers[3] = 1
    assert all_finite(numbers)


def many_tensors(path, dtype, widths):
    """Return the tensors of a new file, of so many columns each, in an order other than the file's."""
    rng = np.random.default_rng(len(widths))
    numbers = {f"t{number}": rng.normal(size=(2, width)) for number, width in enumerate(widths)}
    path.write_bytes(safetensors(numbers, dtype))
    tensors = list(read_safetensors(path).values())
    rng.shuffle(tensors)
    return tensors


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize(
    "widths",
    [[3] * 40, [0, 1, 7] * 20, [0] * 20, [3] * 15, [1, *[4000] * 30]],
    ids=["alike", "some empty", "all empty", "few", "large"],
)
def test_many_at_once(tmp_path, dtype, widths):
    """Many tensors are what each of them is by itself: all, some of them, and those of several files."""
    tensors = many_tensors(tmp_path / "x.safetensors", dtype, widths)
    others = many_tensors(tmp_path / "y.safetensors", "F32", [5] * 20)
    for those in (tensors, tensors[::2], tensors[1::2], others, tensors + others, tensors):
        with TensorReader() as weights, TensorReader() as alone:
            found = [*weights.read_all(others[:16]), *weights.read_all(those)][16:]
            for (numbers, kind), tensor in zip(found, those, strict=True):
                true, stored_as = alone.read_raw(tensor)
                assert (kind, numbers.dtype) == (stored_as, true.dtype)
                assert np.array_equal(numbers, true)


def test_far_apart(tmp_path, monkeypatch):
    """What lies between tensors is read with them only if it is not much more than they are."""
    tensors = sorted(many_tensors(tmp_path / "x.safetensors", "F16", [1, 400] * 20), key=lambda t: t.shape)
    with TensorReader() as weights:
        monkeypatch.setattr(weights, "_read_stretch", lambda *_: pytest.fail("a stretch was read"))
        weights.read_all(tensors[:20])


def test_many_of_a_file_that_became_shorter(tmp_path):
    """The error names the tensor that is missing."""
    tensors = many_tensors(tmp_path / "x.safetensors", "F16", [3] * 40)
    last = max(tensors, key=lambda tensor: tensor.offset)
    with TensorReader() as weights, last.path.open("r+b") as file:
        file.truncate(last.offset + 1)
        with pytest.raises(InputError, match="became shorter") as caught:
            weights.read_all(tensors)
    assert caught.value.where.endswith(last.name)


def test_bfloat16_stays_bits(stored):
    """Stored bfloat16 comes as its bits, not as numbers."""
    tensor = stored([[1.0, -2.0]], "BF16")
    with open_weights(tensor.path) as file:
        assert read_stored(file, tensor).tolist() == [[0x3F80, 0xC000]]


def test_no_elements(stored):
    """A tensor of no elements is an empty array of its shape."""
    tensor = stored(np.ones((0, 4)), "F32")
    with open_weights(tensor.path) as file:
        assert to_float32(read_stored(file, tensor), tensor.dtype).shape == (0, 4)


def test_short_reads_are_continued(stored):
    """A read that gives fewer bytes than asked for is gone on with."""
    tensor = stored(np.arange(100.0), "F32")

    class Dribble:
        def __init__(self, file):
            self.seek, self.file = file.seek, file

        def readinto(self, view):
            return self.file.readinto(view[:7])

    with open_weights(tensor.path) as file:
        assert to_float32(read_stored(Dribble(file), tensor), tensor.dtype).tolist() == list(range(100))


def test_file_that_shrank(stored):
    """A file cut while it is read is an InputError that names the tensor."""
    tensor = stored(np.ones(8), "F32")
    tensor.path.write_bytes(tensor.path.read_bytes()[:-1])
    with open_weights(tensor.path) as file, pytest.raises(InputError, match="shorter") as caught:
        read_stored(file, tensor)
    assert caught.value.where.endswith(": x")


def test_failing_disk(stored):
    """An error of the system is an InputError that names the tensor."""
    tensor = stored(np.ones(8), "F32")._replace(offset=-1)
    with open_weights(tensor.path) as file, pytest.raises(InputError, match="Cannot read"):
        read_stored(file, tensor)


def test_missing_file(tmp_path):
    """A file that is not there is an InputError."""
    with pytest.raises(InputError, match="No such file"):
        open_weights(tmp_path / "none")
