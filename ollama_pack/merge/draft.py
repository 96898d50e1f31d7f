"""A file that several processes write, piece by piece, while it is hashed from its beginning."""

import errno
import hashlib
import os
import threading
from io import FileIO
from pathlib import Path
from typing import BinaryIO, TypeAlias

from ollama_pack.gguf.tensor_data import open_unnoticed
from ollama_pack.merge.base_tensor import BaseTensor, tensor_bytes

READ_BACK = 1 << 20
"""The number of bytes that are read at a time to be hashed."""

CANNOT_COPY = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)
"""Codes with which a kernel or a file system refuses to copy a range; then it is read and written."""


Written: TypeAlias = memoryview | None
"""The bytes of a piece that was written, or None if they are not in the memory of this process."""


class DraftFile:
    """A file that grows by pieces; between them are zeros.

    Args:
        file: the file, which is empty.
        size: the size that it will have.

    Attributes:
        hashed: the number of bytes, from the beginning, that were hashed.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        file.truncate(size)
        self._file, self._size, self._seeking = file, size, threading.Lock()
        self._sha256, self.hashed = hashlib.sha256(), 0

    def write(self, place: int, data: memoryview) -> Written:
        """Write a piece, and return it; others may write at the same time.

        Raises:
            OSError: the file cannot be written.
        """
        left = data.cast("B")
        while left:
            count = self._write_some(place, left)
            place, left = place + count, left[count:]
        return data

    def copy(self, place: int, base: BaseTensor, first: int, size: int, source: FileIO) -> Written:
        """Copy bytes of a tensor of the base, by the kernel where it can; others may write at the same time.

        Args:
            place: the position in this file.
            base: the tensor.
            first: the position of the first byte, from the beginning of the tensor.
            size: the number of bytes.
            source: the file of the base.

        Raises:
            InputError: the base ends inside the tensor, or cannot be read.
            OSError: the file cannot be written.
        """
        done = 0
        while done < size:
            count = self._copy_in_kernel(source, base.offset + first + done, place + done, size - done)
            if not count:
                self.write(place + done, memoryview(tensor_bytes(base, source, first + done, size - done)))
                break
            done += count
        return None

    def hash(self, place: int, size: int, data: Written) -> None:
        """Add the next piece to the digest, with the zeros before it.

        Args:
            place: the position of the piece in the file.
            size: its number of bytes.
            data: what `write` or `copy` returned.

        Raises:
            OSError: the file cannot be read.
        """
        self._sha256.update(bytes(place - self.hashed))
        if data is None:
            self._hash_written(place, size)
        else:
            self._sha256.update(data)
        self.hashed = place + size

    def digest(self) -> str:
        """Return the digest of the whole file, ``sha256:…``; every piece must have been hashed."""
        self._sha256.update(bytes(self._size - self.hashed))
        self.hashed = self._size
        return f"sha256:{self._sha256.hexdigest()}"

    def _write_some(self, place: int, data: memoryview) -> int:
        """Write bytes at a place, and return how many."""
        if hasattr(os, "pwrite"):
            return os.pwrite(self._file.fileno(), data, place)
        with self._seeking:  # Windows has no pwrite
            self._file.seek(place)
            self._file.write(data)
            self._file.flush()
        return len(data)

    def _copy_in_kernel(self, source: FileIO, start: int, place: int, count: int) -> int:
        """Copy bytes without reading them, and return how many; 0 if the system cannot, or there are none."""
        if not hasattr(os, "copy_file_range"):
            return 0
        try:
            return os.copy_file_range(source.fileno(), self._file.fileno(), count, start, place)
        except OSError as error:
            if error.errno in CANNOT_COPY:
                return 0
            raise

    def _hash_written(self, place: int, size: int) -> None:
        """Add to the digest what another process or the kernel wrote, read from the file."""
        with open_unnoticed(Path(self._file.name)) as file:
            file.seek(place)
            buffer = memoryview(bytearray(min(READ_BACK, size)))
            while size:
                count = file.readinto(buffer[:size])
                if not count:
                    raise OSError("the file became shorter while it was written")
                self._sha256.update(buffer[:count])
                size -= count
