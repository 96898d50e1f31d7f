"""Reads the header of a GGUF file: its metadata, and where each tensor lies.

Nothing the file claims is believed before it is checked. A header that lies about a count or a length raises
an error, and never makes this module ask for more memory than the file is long.
"""

import mmap
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ollama_pack.disk.files import refuse_pointer, regular_file
from ollama_pack.errors import InputError
from ollama_pack.gguf.constants import ALIGNMENT, ARRAY, MAGIC, READABLE_VERSIONS, SCALARS, STRING
from ollama_pack.gguf.ggml_types import BLOCKS, TENSOR_TYPES, nbytes_of
from ollama_pack.gguf.tensors import StoredTensor
from ollama_pack.gguf.text_array import read_texts

MOST_KEYS, MOST_TENSORS, LONGEST_ARRAY, MOST_TEXT = 1 << 16, 1 << 20, 1 << 24, 1 << 22
"""Limits above what any model has, and small enough to be read in moments: a hostile header may claim
anything. Text is counted in bytes, of all names and texts that are kept.
"""

MOST_KEPT = 1 << 24
"""Most bytes of an array of text that is kept because it was asked for; large vocabularies have 3 million."""

MOST_WALKED = 1 << 24
"""Most texts of all arrays, and numbers that are kept. A large vocabulary with its merges has 1 million."""

LONGEST_KEPT = 1024
"""Arrays with more elements are not kept (token lists): only their length is."""

Value = str | int | float | bool | tuple[str | int | float | bool, ...]


_AGAIN = "download or copy the file again, and compare its size"


@dataclass(frozen=True, slots=True)
class LongArray:
    """An array whose elements were skipped and not kept.

    Attributes:
        length: number of elements.
    """

    length: int


@dataclass(frozen=True, slots=True)
class GgufFile:
    """What the header of a GGUF file says.

    Attributes:
        path: the file.
        metadata: key → value; arrays of more than `LONGEST_KEPT` elements as `LongArray`.
        shapes: name → shape, rows first, of every tensor.
        types: name → ggml type number of every tensor.
        offsets: name → offset in the file of every tensor.
        spans: key → offsets of its first byte and of the first byte after its value.
    """

    path: Path
    metadata: Mapping[str, Value | LongArray]
    shapes: Mapping[str, tuple[int, ...]]
    types: Mapping[str, int]
    offsets: Mapping[str, int]
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def text(self, key: str, default: str = "") -> str:
        """Return a text of the metadata.

        Raises:
            InputError: the value is not a text.
        """
        value = self.metadata.get(key, default)
        if not isinstance(value, str):
            raise InputError(f"The value is {value!r}, not a text.", where=f"{self.path}: {key}")
        return value

    def integer(self, key: str, default: int | None = None) -> int:
        """Return a whole number of the metadata, not below 0.

        Raises:
            InputError: the key is missing and has no default, or its value is not such a number.
        """
        value = self.metadata.get(key, default)
        if value is None:
            raise InputError("The key is missing.", where=f"{self.path}: {key}")
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InputError(f"The value is {value!r}, not a whole number.", where=f"{self.path}: {key}")
        return value

    def stored(self, name: str) -> StoredTensor:
        """Return an F32, F16, BF16 or Q8_0 tensor.

        Raises:
            InputError: there is none of this name, or it is of another type.
        """
        where = f"{self.path}: {name}"
        if name not in self.shapes:
            raise InputError("The tensor is not in the file.", where=where)
        dtype = TENSOR_TYPES.get(self.types[name])
        if dtype is None:
            raise InputError("The tensor is quantised; F32, F16, BF16 or Q8_0 is expected.", where=where)
        shape, elements = self.shapes[name], BLOCKS[self.types[name]][0]
        if shape[-1] % elements:
            raise InputError(f"The length of its rows is not a multiple of {elements}.", where=where)
        nbytes = nbytes_of(self.types[name], shape)
        return StoredTensor(self.path, name, dtype, shape, self.offsets[name], nbytes)


def read_gguf(path: Path, keep: Collection[str] = ()) -> GgufFile:
    """Return what the header of a GGUF file says; tensor data is not touched.

    Args:
        path: the file.
        keep: keys whose arrays of text are kept, however long, up to `MOST_KEPT` bytes.

    Raises:
        InputError: the file is missing, not GGUF, of an unknown version or byte order, or cut short.
    """
    try:
        with regular_file(path) as file:
            start = file.read(64)
            if not start.startswith(MAGIC):
                refuse_pointer(path, start)
                raise InputError(
                    "The file is not GGUF.", where=path, hint="--base with a GGUF file or an Ollama model"
                )
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Cursor(data, path, keep).header()
    except OSError as error:
        raise InputError(f"Cannot read the file: {error.strerror}.", where=path) from error


class _Cursor:
    """A position in a mapped file that never leaves it."""

    def __init__(self, data: mmap.mmap, path: Path, keep: Collection[str] = ()) -> None:
        self.data, self.path, self.position, self.part = data, path, 4, "the header"
        self.text_left, self.walk_left, self.kept = MOST_TEXT, MOST_WALKED, keep

    def header(self) -> GgufFile:
        version = self.number("I")
        if version not in READABLE_VERSIONS:
            raise InputError(f"GGUF version {version} is unknown; 2 and 3 are read.", where=self.path)
        tensor_count = self.count("tensors", MOST_TENSORS)
        key_count = self.count("metadata keys", MOST_KEYS)
        metadata: dict[str, Value | LongArray] = {}
        spans: dict[str, tuple[int, int]] = {}
        for index in range(key_count):
            self.part = f"metadata key {index + 1} of {key_count}"
            start = self.position
            key = self.string()
            self.part = key
            if key in metadata:
                raise InputError("The key is there twice.", where=f"{self.path}: {key}")
            metadata[key] = self.value(self.number("I"))
            spans[key] = (start, self.position)
        infos = {}
        for index in range(tensor_count):
            self.part = f"tensor {index + 1} of {tensor_count}"
            name = self.string()
            if name in infos:
                raise InputError("The tensor is there twice.", where=f"{self.path}: {name}")
            dimensions = self.number("I")
            if not 0 < dimensions <= 4:
                raise InputError(f"The tensor has {dimensions} dimensions.", where=f"{self.path}: {name}")
            shape = tuple(reversed([self.number("Q") for _ in range(dimensions)]))
            infos[name] = (shape, self.number("I"), self.number("Q"))
        alignment = metadata.get("general.alignment", ALIGNMENT)
        if not isinstance(alignment, int) or alignment <= 0:
            raise InputError(
                f"The alignment is {alignment!r}, not above 0.", where=f"{self.path}: general.alignment"
            )
        start = -(-self.position // alignment) * alignment
        for name, (shape, kind, offset) in infos.items():
            nbytes = nbytes_of(kind, shape) if kind in BLOCKS else 0  # of an unknown type, only the start
            if start + offset + nbytes > len(self.data):
                raise InputError(
                    "The file is cut short: it ends before the tensor does.",
                    where=f"{self.path}: {name}",
                    hint=_AGAIN,
                )
        return GgufFile(
            path=self.path,
            metadata=metadata,
            shapes={name: info[0] for name, info in infos.items()},
            types={name: info[1] for name, info in infos.items()},
            offsets={name: start + info[2] for name, info in infos.items()},
            spans=spans,
        )

    def number(self, code: str) -> int:
        value: int = struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]
        return value

    def count(self, what: str, most: int) -> int:
        number = self.number("Q")
        if number > most:
            raise self.too_much(what, number, most)
        return int(number)

    def too_much(self, what: str, number: int, most: int) -> InputError:
        return InputError(
            f"The header claims {number} {what}; at most {most} are read.",
            where=f"{self.path}: {self.part}",
            hint=_AGAIN,
        )

    def string(self) -> str:
        length = self.count("bytes of text", self.text_left)
        self.text_left -= length
        return self.take(length).decode("utf-8", "replace")

    def take(self, count: int) -> bytes:
        start = self.position
        self.skip(count)
        return self.data[start : self.position]

    def skip(self, count: int) -> None:
        if self.position + count > len(self.data):
            raise InputError(
                "The file is cut short, or its header lies about a length.",
                where=f"{self.path}: {self.part}",
                hint=_AGAIN,
            )
        self.position += count

    def value(self, kind: int) -> Value | LongArray:
        if kind == STRING:
            return self.string()
        if kind in SCALARS:
            scalar: int | float | bool = struct.unpack(
                "<" + SCALARS[kind], self.take(struct.calcsize(SCALARS[kind]))
            )[0]
            return scalar
        if kind == ARRAY:
            return self.array(self.number("I"), self.count("elements", LONGEST_ARRAY))
        raise InputError(f"The value type {kind} is unknown.", where=f"{self.path}: {self.part}")

    def array(self, kind: int, length: int) -> Value | LongArray:
        if kind == STRING:
            return self.strings(length)
        if kind not in SCALARS:
            raise InputError(f"An array of value type {kind} is unknown.", where=f"{self.path}: {self.part}")
        size = length * struct.calcsize("<" + SCALARS[kind])
        if length > LONGEST_KEPT:
            self.skip(size)
            return LongArray(length)
        self.walk(length)
        return struct.unpack(f"<{length}{SCALARS[kind]}", self.take(size))

    def walk(self, length: int) -> None:
        if length > self.walk_left:
            raise self.too_much("elements", MOST_WALKED - self.walk_left + length, MOST_WALKED)
        self.walk_left -= length

    def strings(self, length: int) -> Value | LongArray:
        self.walk(length)
        if length <= LONGEST_KEPT:
            return tuple(self.string() for _ in range(length))
        keep = self.part in self.kept
        texts, self.position, kept = read_texts(self.data, self.position, length, keep=keep, most=MOST_KEPT)
        if kept > MOST_KEPT:
            raise self.too_much("bytes of text", kept, MOST_KEPT)
        self.skip(0)
        return texts if keep else LongArray(length)
