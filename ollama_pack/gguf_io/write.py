"""WRITE  LoraPlan → GGUF LoRA file, as a stream.

One tensor is in memory at a time. The SHA-256 is taken by a second thread that follows the writer
through the file: hashing is the slowest step, and on two cores it then costs no time of its own.
"""

import hashlib
import os
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from ollama_pack.errors import DestinationError, InputError, RefusedError
from ollama_pack.files import whole_file
from ollama_pack.gguf_io.cast import cast_tensor
from ollama_pack.gguf_io.layout import ALIGNMENT, ALPHA, ARRAY, FLOAT32, MAGIC, STRING, UINT32, VERSION
from ollama_pack.gguf_io.outtypes import NUMBERS, choose_types, size_in_bytes, together
from ollama_pack.gguf_io.read import GgufFile, read_gguf
from ollama_pack.parts import LoraFile, LoraPlan
from ollama_pack.weights import Weights, keep_freed_memory

CHUNK = 1 << 20


def write_lora(
    plan: LoraPlan, path: Path, outtype: str, check: Callable[[Path], None] | None = None
) -> LoraFile:
    """Write a GGUF LoRA file; it appears under its name whole, or not at all.

    The bytes depend on the plan and the weights alone.

    Args:
        plan: what goes in.
        path: where the file goes; its directory is made if it is not there.
        outtype: ``f16``, ``f32``, ``bf16``, ``q8_0`` or ``auto``; see `choose_types`.
        check: called with the finished file before it gets its name; what it raises keeps the
            file from appearing.

    Raises:
        InputError: a weight is NaN or infinite, or the weights cannot be read.
        UnsupportedError: a weight is too large for its type.
        DestinationError: the file cannot be written.
    """
    keep_freed_memory()
    kinds = choose_types(plan, outtype)
    with whole_file(path) as file, _Follower(Path(file.name)) as follower:
        for data in chain([memoryview(_header(plan, kinds))], _tensors(plan, kinds)):
            file.write(data)
            file.write(bytes(-data.nbytes % ALIGNMENT))
            file.flush()
            follower.allow(file.tell())
        size = file.tell()
        with ThreadPoolExecutor(1, "fsync") as disk:
            safe = disk.submit(os.fsync, file.fileno())
            if check is not None:
                check(Path(file.name))
            safe.result()
        digest = follower.digest()
    return LoraFile(path=path, digest=digest, size=size, outtype=together(kinds))


def protect(path: Path) -> None:
    """Require that a GGUF LoRA written to `path` replaces nothing but another one.

    Raises:
        RefusedError: there is something else.
        DestinationError: it cannot be found out.
    """
    try:
        if not path.exists():
            return
        kind = read_gguf(path).text("general.type")
    except InputError:
        kind = ""
    except OSError as error:
        raise DestinationError(f"This cannot be written: {error.strerror}.", where=path) from error
    if kind != "adapter":
        raise RefusedError(
            "There is a file of this name already, and it is not a GGUF LoRA.",
            where=path,
            hint="--out with another place, or move the file away",
        )


def planned_size(plan: LoraPlan, outtype: str) -> int:
    """Return the size in bytes that `write_lora` will give the file."""
    kinds = choose_types(plan, outtype)
    sizes = [size_in_bytes(tensor.shape, kind) for tensor, kind in zip(plan.tensors, kinds, strict=True)]
    return len(_header(plan, kinds)) + sum(size + -size % ALIGNMENT for size in sizes)


def planned_header(plan: LoraPlan) -> GgufFile:
    """Return what the header of the file will say of its tensors, before it is written."""
    metadata = {"general.architecture": plan.arch, "general.type": "adapter", "adapter.type": "lora"}
    shapes = {tensor.name: tensor.shape for tensor in plan.tensors}
    return GgufFile(Path(), {**plan.metadata, **metadata, ALPHA: plan.alpha}, shapes, {}, {})


class _Follower:
    """A thread that hashes a file up to where it may, while the file grows."""

    def __init__(self, path: Path) -> None:
        self._hash = hashlib.sha256()
        self._allowed, self._complete, self._stopped = 0, False, False
        self._condition = threading.Condition()
        self._file = path.open("rb", buffering=0)
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._follow, name="sha256", daemon=True)

    def __enter__(self) -> "_Follower":
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        with self._condition:
            self._stopped = True
            self._condition.notify()
        self._thread.join()
        self._file.close()

    def allow(self, position: int) -> None:
        """Let the thread go on to a position that is written and flushed."""
        with self._condition:
            self._allowed = position
            self._condition.notify()

    def digest(self) -> str:
        """Wait until all that was allowed is hashed, and return ``sha256:`` with the digest."""
        with self._condition:
            self._complete = True
            self._condition.notify()
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return f"sha256:{self._hash.hexdigest()}"

    def _follow(self) -> None:
        buffer, position = memoryview(bytearray(CHUNK)), 0

        def woken() -> bool:
            return self._stopped or self._complete or self._allowed - position >= CHUNK

        try:
            while True:
                with self._condition:
                    self._condition.wait_for(woken)
                    if self._stopped or (self._complete and position == self._allowed):
                        return
                got = self._file.readinto(buffer)
                if not got:
                    raise OSError("the file became shorter while it was written")
                self._hash.update(buffer[:got])
                position += got
        except OSError as error:
            self._failure = error


def _header(plan: LoraPlan, kinds: Sequence[str]) -> bytes:
    keys = [
        _text("general.architecture", plan.arch),
        _text("general.type", "adapter"),
        *(_value(key, value) for key, value in sorted(plan.metadata.items())),
        _text("adapter.type", "lora"),
        _key(ALPHA, FLOAT32) + struct.pack("<f", plan.alpha),
    ]
    infos, offset = [], 0
    for tensor, kind in zip(plan.tensors, kinds, strict=True):
        dimensions = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *reversed(tensor.shape))
        infos.append(_string(tensor.name) + dimensions + struct.pack("<IQ", NUMBERS[kind], offset))
        nbytes = size_in_bytes(tensor.shape, kind)
        offset += nbytes + -nbytes % ALIGNMENT
    header = MAGIC + struct.pack("<IQQ", VERSION, len(infos), len(keys)) + b"".join(keys) + b"".join(infos)
    return header + bytes(-len(header) % ALIGNMENT)


def _tensors(plan: LoraPlan, kinds: Sequence[str]) -> Iterator[memoryview]:
    """Yield the bytes of each tensor, in order."""
    with Weights() as weights:
        for tensor, kind in zip(plan.tensors, kinds, strict=True):
            yield cast_tensor(weights, tensor, kind).reshape(-1).view("u1").data


def _string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _key(name: str, kind: int) -> bytes:
    return _string(name) + struct.pack("<I", kind)


def _text(name: str, value: str) -> bytes:
    return _key(name, STRING) + _string(value)


def _value(name: str, value: str | int | tuple[int, ...]) -> bytes:
    if isinstance(value, str):
        return _text(name, value)
    if isinstance(value, int):
        return _key(name, UINT32) + struct.pack("<I", value)
    return _key(name, ARRAY) + struct.pack(f"<IQ{len(value)}I", UINT32, len(value), *value)
