"""The parts of a GGUF file that are written, and a thread that hashes a file while it grows."""

import hashlib
import struct
import threading
from pathlib import Path

from ollama_pack.gguf.constants import ARRAY, STRING, UINT32
from ollama_pack.gguf.tensor_data import open_unnoticed

HASH_CHUNK = 1 << 20


class HashingThread:
    """A thread that takes the SHA-256 of a file while the file grows, as far as it is allowed to read.

    Args:
        path: the file, which exists already.
    """

    def __init__(self, path: Path) -> None:
        self._hash = hashlib.sha256()
        self._allowed, self._complete, self._stopped = 0, False, False
        self._condition = threading.Condition()
        self._file = open_unnoticed(path)
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._follow, name="sha256", daemon=True)

    def __enter__(self) -> "HashingThread":
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
            more = position // HASH_CHUNK > self._allowed // HASH_CHUNK
            self._allowed = position
            if more:  # to wake the thread for less takes longer than it hashes
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
        """Hash what is allowed of the file, until it is complete."""
        buffer, position = memoryview(bytearray(HASH_CHUNK)), 0

        def woken() -> bool:
            return self._stopped or self._complete or self._allowed - position >= HASH_CHUNK

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


def pack_string(text: str) -> bytes:
    """Return a GGUF string: its length as uint64, then its UTF-8 bytes."""
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def pack_key(name: str, kind: int) -> bytes:
    """Return the beginning of a key-value pair: its name, and the number of its value's type."""
    return pack_string(name) + struct.pack("<I", kind)


def pack_text(name: str, value: str) -> bytes:
    """Return a key with a string as its value."""
    return pack_key(name, STRING) + pack_string(value)


def pack_value(name: str, value: str | int | tuple[int, ...]) -> bytes:
    """Return a key with its value: a string, a uint32, or an array of uint32."""
    if isinstance(value, str):
        return pack_text(name, value)
    if isinstance(value, int):
        return pack_key(name, UINT32) + struct.pack("<I", value)
    return pack_key(name, ARRAY) + struct.pack(f"<IQ{len(value)}I", UINT32, len(value), *value)
