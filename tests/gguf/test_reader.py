"""Headers of GGUF files: what gguf-py wrote is read, what lies is named."""

import struct

import gguf as gguf_py
import numpy as np
import pytest
from gguf_bytes import array, gguf, key, tensor, text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ollama_pack.errors import InputError
from ollama_pack.gguf import constants
from ollama_pack.gguf.reader import LONGEST_KEPT, LongArray, read_gguf
from ollama_pack.gguf.tensor_data import TensorReader

LARGE = 2**63


@pytest.fixture
def read(tmp_path):
    """Return a function that reads the bytes of a file."""

    def read_bytes(content):
        path = tmp_path / "x.gguf"
        path.write_bytes(content)
        return read_gguf(path)

    return read_bytes


@pytest.fixture
def written(tmp_path):
    """Return a function that reads a file gguf-py wrote."""

    def write(fill):
        path = tmp_path / "py.gguf"
        writer = gguf_py.GGUFWriter(path, "llama")
        fill(writer)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return read_gguf(path)

    return write


def test_whole_model(tiny_gguf, tiny_shapes):
    """Every tensor of a model is found, with its shape, and lies where gguf-py says."""
    found, witness = read_gguf(tiny_gguf), gguf_py.GGUFReader(tiny_gguf)
    assert found.shapes == tiny_shapes
    assert found.offsets == {item.name: item.data_offset for item in witness.tensors}
    assert found.types == {item.name: item.tensor_type.value for item in witness.tensors}


def test_numbers_of_a_model(tiny_gguf):
    """The numbers of a tensor are those gguf-py reads."""
    tensor = read_gguf(tiny_gguf).stored("blk.1.ffn_down.weight")
    witness = {item.name: item.data for item in gguf_py.GGUFReader(tiny_gguf).tensors}
    with TensorReader() as weights:
        assert np.array_equal(weights.float32(tensor), witness["blk.1.ffn_down.weight"])


SCALARS = {
    "uint8": 200, "int8": -3, "uint16": 60000, "int16": -300, "uint32": 2**32 - 1, "int32": -70000,
    "uint64": 2**63, "int64": -(2**62), "float32": 0.5, "float64": 0.1, "bool": True, "string": "größe",
}  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), SCALARS.items(), ids=SCALARS)
def test_values(written, kind, value):
    """A value of each type is read as gguf-py wrote it."""
    found = written(lambda writer: getattr(writer, f"add_{kind}")("x", value))
    assert found.metadata["x"] == value
    assert type(found.metadata["x"]) is type(value)


@pytest.mark.parametrize("values", [[1, 2, 3], [0.5, 2.0], [True, False], ["a", "", "ö"]], ids=repr)
def test_arrays(written, values):
    """A short array is kept whole."""
    assert written(lambda writer: writer.add_array("x", values)).metadata["x"] == tuple(values)


@pytest.mark.parametrize("item", [7, "token"], ids=["numbers", "texts"])
@pytest.mark.parametrize(("length", "kept"), [(LONGEST_KEPT, True), (LONGEST_KEPT + 1, False)])
def test_long_arrays(written, item, length, kept):
    """A long array is walked over; what follows it is read."""

    def fill(writer):
        writer.add_array("x", [item] * length)
        writer.add_uint32("after", 5)

    found = written(fill)
    assert found.metadata["x"] == ((item,) * length if kept else LongArray(length))
    assert found.metadata["after"] == 5


def test_alignment(written):
    """Another alignment than 32 moves the data."""

    def fill(writer):
        writer.add_custom_alignment(256)
        writer.add_tensor("a", np.ones(3, np.float32))
        writer.add_tensor("b", np.full(3, 2, np.float32))

    found = written(fill)
    assert found.offsets["b"] - found.offsets["a"] == 256
    with TensorReader() as weights:
        assert weights.float32(found.stored("b")).tolist() == [2, 2, 2]


@pytest.mark.parametrize("version", [2, 3])
def test_versions(read, version):
    """Versions 2 and 3 are the same in all that is read here."""
    assert read(gguf([key("x", constants.UINT8, b"\x05")], version=struct.pack("<I", version))).metadata == {
        "x": 5
    }


U32 = constants.UINT32
DAMAGED = {
    "an empty file": (b"", "not GGUF"),
    "three bytes": (b"GGU", "not GGUF"),
    "another magic": (b"GGML" + bytes(40), "not GGUF"),
    "nothing but the magic": (b"GGUF", "cut short"),
    "version 1": (gguf(version=struct.pack("<I", 1)), "version 1 is unknown"),
    "version 4": (gguf(version=struct.pack("<I", 4)), "version 4 is unknown"),
    "the other byte order": (gguf(version=struct.pack(">I", 3)), "version 50331648 is unknown"),
    "more keys than there are": (gguf(counts=(0, LARGE)), "claims 9223372036854775808 metadata keys"),
    "more tensors than there are": (gguf(counts=(LARGE, 0)), "claims 9223372036854775808 tensors"),
    "a key of 2^63 letters": (gguf([struct.pack("<Q", LARGE) + b"x"]), "claims 9223372036854775808 bytes"),
    "a text of 2^64 - 1 letters": (gguf([key("x", constants.STRING, b"\xff" * 8)]), "bytes of text"),
    "an array of 2^63 numbers": (
        gguf([key("x", constants.ARRAY, array(U32, LARGE))]),
        "elements; at most 16777216",
    ),
    "an array of 2^63 texts": (gguf([key("x", constants.ARRAY, array(constants.STRING, LARGE))]), "elements"),
    "a long array of texts that ends early": (
        gguf([key("x", constants.ARRAY, array(constants.STRING, 2000, text("a") * 1999 + b"\x01"))]),
        "lies about a length",
    ),
    "a long array with a text of 2^63 letters": (
        gguf([key("x", constants.ARRAY, array(constants.STRING, 2000, struct.pack("<Q", LARGE) * 2000))]),
        "lies about a length",
    ),
    "an unknown value type": (gguf([key("x", 13, bytes(8))]), "value type 13 is unknown"),
    "an array of arrays": (
        gguf([key("x", constants.ARRAY, array(constants.ARRAY, 1))]),
        "array of value type 9",
    ),
    "a tensor of no dimensions": (gguf(tensors=[tensor("t", ())]), "has 0 dimensions"),
    "a tensor of five dimensions": (gguf(tensors=[tensor("t", (1,) * 5)]), "has 5 dimensions"),
    "one more key than there is": (gguf([key("x", U32, bytes(4))], counts=(0, 2)), "lies about a length"),
    "an array longer than the file": (
        gguf([key("x", constants.ARRAY, array(U32, 5000))]),
        "lies about a length",
    ),
    "a key twice": (gguf([key("x", U32, bytes(4))] * 2), "key is there twice"),
    "a tensor twice": (gguf(tensors=[tensor("t", (1,))] * 2, data=bytes(64)), "tensor is there twice"),
    "alignment zero": (gguf([key("general.alignment", U32, bytes(4))]), "alignment is 0, not above 0"),
    "alignment in words": (gguf([key("general.alignment", constants.STRING, text("x"))]), "not above 0"),
}


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged(read, content, message):
    """A damaged header is an InputError that names the file, and takes no memory to find out."""
    with pytest.raises(InputError, match=message) as caught:
        read(content)
    assert "x.gguf" in caught.value.where


def test_damage_names_the_part(read):
    """What is cut short is told with the key it was cut in."""
    with pytest.raises(InputError) as caught:
        read(gguf([key("general.name", constants.STRING, struct.pack("<Q", 50) + b"x")]))
    assert caught.value.where.endswith(": general.name")


def test_text_that_is_not_utf8(read):
    """A text in another encoding is read with marks in its place: it is only shown."""
    assert read(gguf([key("x", constants.STRING, text(b"a\xff"))])).metadata["x"] == "a\ufffd"


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.binary(max_size=6) | st.sampled_from([b"", b"\0", b"a\0b", b"\xe2\x96", b"\x81"]), min_size=1)
)
def test_texts_of_a_vocabulary(tmp_path, some):
    """Each text of a long array that is kept is decoded by itself, whatever bytes are beside it."""
    texts = some * (LONGEST_KEPT // len(some) + 1)
    path = tmp_path / "x.gguf"
    raw = b"".join(map(text, texts))
    path.write_bytes(gguf([key("x", constants.ARRAY, array(constants.STRING, len(texts), raw))]))
    expected = tuple(each.decode("utf-8", "replace") for each in texts)
    assert read_gguf(path, keep={"x"}).metadata["x"] == expected


def test_missing_and_directory(tmp_path):
    """A file that is not there, or is a directory, is an InputError with the system's reason."""
    with pytest.raises(InputError, match="No such file"):
        read_gguf(tmp_path / "none.gguf")
    with pytest.raises(InputError, match="Is a directory"):
        read_gguf(tmp_path)


KEYS = [
    key("name", constants.STRING, text("ada")),
    key("n", U32, struct.pack("<I", 7)),
    key("minus", constants.INT32, struct.pack("<i", -1)),
    key("yes", constants.BOOL, b"\x01"),
]


def test_typed_values(read):
    """A value is given as what it is, or as the default where it is missing."""
    found = read(gguf(KEYS))
    assert (found.text("name"), found.text("none"), found.text("none", "x")) == ("ada", "", "x")
    assert (found.integer("n"), found.integer("none", 3)) == (7, 3)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        pytest.param(lambda found: found.text("n"), "7, not a text", id="a number for a text"),
        pytest.param(lambda found: found.integer("name"), "not a whole number", id="a text for a number"),
        pytest.param(lambda found: found.integer("minus"), "-1, not a whole", id="a negative number"),
        pytest.param(lambda found: found.integer("yes"), "True, not a whole", id="true for a number"),
        pytest.param(lambda found: found.integer("none"), "key is missing", id="a missing number"),
        pytest.param(lambda found: found.stored("none"), "not in the file", id="a missing tensor"),
        pytest.param(lambda found: found.stored("q"), "quantised", id="a quantised tensor"),
    ],
)
def test_wrong_values(read, ask, message):
    """A value of another kind, or a tensor that is not numbers, is an InputError that names it."""
    found = read(gguf(KEYS, [tensor("q", (32,), 2)], data=bytes(18)))
    with pytest.raises(InputError, match=message) as caught:
        ask(found)
    assert "x.gguf: " in caught.value.where


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(tensor("t", (5,)), id="a tensor that is cut"),
        pytest.param(tensor("t", (64,), 2), id="a quantised tensor that is cut"),
        pytest.param(tensor("t", (2**62,) * 4), id="a tensor of 2^252 bytes"),
        pytest.param(tensor("t", (1,), offset=LARGE), id="a tensor beyond the file"),
        pytest.param(tensor("t", (1,), 999, offset=17), id="a tensor of an unknown type beyond the file"),
    ],
)
def test_cut_tensors(read, cut):
    """A file that ends before a tensor does is refused when its header is read, naming the tensor."""
    with pytest.raises(InputError, match="cut short") as caught:
        read(gguf(KEYS, [cut], data=bytes(16)))
    assert caught.value.where.endswith("x.gguf: t")


def test_last_byte_counts(read):
    """A tensor that ends with the file is whole."""
    assert read(gguf(KEYS, [tensor("t", (2, 2))], data=bytes(16))).stored("t").shape == (2, 2)
