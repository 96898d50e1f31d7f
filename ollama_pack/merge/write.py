"""Writes a merged GGUF, as a stream: untouched tensors byte for byte, touched ones with their change.

What is untouched is copied by the kernel where it can, so that a file system with reflinks stores it once.
What is touched is computed by two threads, block by block, while a third takes the SHA-256 of the file.
"""

import contextlib
import errno
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from io import FileIO
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, TypeAlias

from ollama_pack.errors import InputError
from ollama_pack.files import Progress, whole_file
from ollama_pack.gguf.code_layouts import Bytes
from ollama_pack.gguf.constants import ALIGNMENT, MAGIC, VERSION
from ollama_pack.gguf.ggml_blocks import BlockWriter
from ollama_pack.gguf.tensor_data import TensorReader, keep_freed_memory
from ollama_pack.gguf.writer import HashingThread, pack_string, pack_value
from ollama_pack.merge.base_tensor import BaseTensor
from ollama_pack.merge.plan import MergedTensor, MergePlan
from ollama_pack.merge.rounding import in_order, rounding_of
from ollama_pack.merge.rows import RowBlock, load_factors, merge_block, row_blocks

COPY_BYTES = 8 << 20
"""Bytes that are copied at once, and reported as progress."""

WORKERS = 2
CANNOT_COPY = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)
"""Codes with which a kernel or a file system refuses to copy a range; then it is read and written."""


def write_merged(
    plan: MergePlan,
    path: Path,
    check: Callable[[Path], None] | None = None,
    progress: Progress | None = None,
) -> tuple[str, int]:
    """Write a merged GGUF and return its digest, ``sha256:…``, and its size in bytes.

    The file appears under its name whole, or not at all. Its bytes depend on the plan, the base and the
    weights of the adapter alone.

    Args:
        plan: what the file holds.
        path: the place of the file; its directory is made if it is not there.
        check: called with the finished file before it gets its name; what it raises keeps the file from
            appearing.
        progress: called while the file grows.

    Raises:
        InputError: the base or the adapter cannot be read, or changed while it was read.
        UnsupportedError: a merged number is beyond the type that is written.
        DestinationError: the file cannot be written.
    """
    keep_freed_memory()
    header = merged_header(plan)
    total = len(header) + _size_of_tensors(plan)
    with _OpenBase(plan) as sources, whole_file(path) as file, HashingThread(Path(file.name)) as follower:
        file.write(header)
        file.flush()
        follower.allow(file.tell())
        for _ in _write_tensors(plan.tensors, file, sources):
            file.flush()
            follower.allow(file.tell())
            if progress is not None:
                progress(f"merging into {path.name}", file.tell(), total)
        file.flush()
        follower.allow(file.tell())
        sources.require_unchanged()
        size = file.tell()
        on_disk = sources.pool.submit(os.fsync, file.fileno())  # while the file is checked
        if check is not None:
            check(Path(file.name))
        on_disk.result()
        digest = follower.digest()
    return digest, size


def merged_size(plan: MergePlan) -> int:
    """Return the size in bytes that the merged file will have."""
    return len(merged_header(plan)) + _size_of_tensors(plan)


def _size_of_tensors(plan: MergePlan) -> int:
    """Return the size in bytes of everything after the header, with the padding."""
    return sum(_padded(tensor.nbytes) for tensor in plan.tensors)


def rest_of(plan: MergePlan) -> int:
    """Return the bytes that a merged file has beside the tensors that change, at most."""
    return merged_size(plan) + ALIGNMENT * len(plan.touched) - sum(tensor.nbytes for tensor in plan.touched)


def merged_header(plan: MergePlan) -> bytes:
    """Return the header of a merged file: the keys of the base as they are, but for those that are set."""
    base = plan.header
    with base.path.open("rb") as source:
        keys = [
            plan.packed.get(key) or _read_span(source, base.spans[key])
            for key in base.metadata
            if key not in plan.metadata and key not in plan.dropped
        ]
    keys += [packed for key, packed in plan.packed.items() if key not in base.metadata]
    keys += [pack_value(key, value) for key, value in sorted(plan.metadata.items())]
    infos, offset = [], 0
    for tensor in plan.tensors:
        shape = tensor.shape
        dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        infos.append(pack_string(tensor.name) + dimensions + struct.pack("<IQ", tensor.kind, offset))
        offset += _padded(tensor.nbytes)
    head = MAGIC + struct.pack("<IQQ", VERSION, len(infos), len(keys)) + b"".join(keys) + b"".join(infos)
    return head + bytes(_padded(len(head)) - len(head))


class _OpenBase:
    """The files of a base, open while it is merged, and their weights' reader.

    Attributes:
        weights: reads the factors of the adapter.
        pool: the threads that compute.
        blocks: writes the blocks of every type.
    """

    def __init__(self, plan: MergePlan) -> None:
        self._stack = contextlib.ExitStack()
        self._files: dict[Path, FileIO] = {}
        self._before: dict[Path, tuple[int, int]] = {}
        self._paths = {tensor.base.path for tensor in plan.tensors}

    def __enter__(self) -> "_OpenBase":
        for path in sorted(self._paths):
            try:
                self._files[path] = self._stack.enter_context(FileIO(path, "rb"))
            except OSError as error:
                self._stack.close()
                raise InputError(f"Cannot read the base: {error.strerror}.", where=path) from error
            self._before[path] = self._state(path)
        self.weights = self._stack.enter_context(TensorReader())
        self.blocks = self._stack.enter_context(BlockWriter())
        self.pool = self._stack.enter_context(ThreadPoolExecutor(WORKERS, "merge"))
        return self

    def __exit__(self, *exception: object) -> None:
        self.pool.shutdown(cancel_futures=True)
        self._stack.close()

    def file(self, tensor: BaseTensor) -> FileIO:
        """Return the open file that a tensor of the base lies in."""
        return self._files[tensor.path]

    def require_unchanged(self) -> None:
        """Require that the base is what it was when the merge began.

        Raises:
            InputError: a file of it was changed meanwhile.
        """
        for path in self._before:
            if self._state(path) != self._before[path]:
                raise InputError(
                    "The base changed while it was read. Nothing was written.",
                    where=path,
                    hint="run the same command again when nothing writes to that file",
                    code="base-changed",
                )

    def _state(self, path: Path) -> tuple[int, int]:
        status = os.fstat(self._files[path].fileno())
        return status.st_size, status.st_mtime_ns


_MergedPiece: TypeAlias = tuple[MergedTensor, Bytes | None]
"""A tensor with the bytes of some of its rows, or None if all of it is copied."""


def _write_tensors(tensors: Iterable[MergedTensor], file: BinaryIO, sources: _OpenBase) -> Iterator[None]:
    """Write all tensors, and yield after each piece."""
    for _, pieces in groupby(in_order(_merged_pieces(tensors, sources)), lambda piece: piece[0].name):
        start = file.tell()
        for tensor, data in pieces:
            if data is None:
                yield from _copy_range(tensor.base, tensor.nbytes, sources.file(tensor.base), file)
            else:
                file.write(data.data)
                yield
        file.write(bytes(_padded(tensor.nbytes) - (file.tell() - start)))


def _merged_pieces(tensors: Iterable[MergedTensor], sources: _OpenBase) -> Iterator["Future[_MergedPiece]"]:
    """Yield the work on all tensors, so that no thread waits for the end of one to begin with the next."""
    for tensor in tensors:
        if not tensor.is_touched:
            copied: Future[_MergedPiece] = Future()
            copied.set_result((tensor, None))
            yield copied
            continue
        source = sources.file(tensor.base)
        factors = load_factors(tensor.change, sources.weights) if tensor.change is not None else None
        rounding = rounding_of(tensor, factors, source, sources.pool, sources.blocks)
        merged = partial(merge_block, tensor, factors, file=source, rounding=rounding)
        for block in row_blocks(tensor.base, tensor.rows):
            yield sources.pool.submit(_merged_piece, tensor, merged, block)


def _merged_piece(tensor: MergedTensor, merged: Callable[[RowBlock], Bytes], block: RowBlock) -> _MergedPiece:
    """Return some merged rows, with their tensor."""
    return tensor, merged(block)


def _copy_range(base: BaseTensor, count: int, source: FileIO, file: BinaryIO) -> Iterator[None]:
    """Copy bytes of a tensor of the base, by the kernel where it can, and yield after each piece."""
    offset, left = base.offset, count
    while left:
        count = _copy_in_kernel(source, file, offset, min(left, COPY_BYTES))
        if not count:
            source.seek(offset)
            count = file.write(source.read(min(left, COPY_BYTES)))
        if not count:
            raise InputError("The file ends inside the tensor.", where=f"{base.path}: {base.name}")
        offset, left = offset + count, left - count
        yield


def _copy_in_kernel(source: FileIO, file: BinaryIO, offset: int, count: int) -> int:
    """Copy bytes without reading them, and return how many; 0 if the system cannot."""
    if not hasattr(os, "copy_file_range"):
        return 0
    file.flush()
    try:
        copied = os.copy_file_range(source.fileno(), file.fileno(), count, offset_src=offset)
    except OSError as error:
        if error.errno in CANNOT_COPY:
            return 0
        raise
    file.seek(0, os.SEEK_END)
    return copied


def _read_span(source: BinaryIO, span: tuple[int, int]) -> bytes:
    """Return the bytes of a key and its value."""
    start, end = span
    source.seek(start)
    data = source.read(end - start)
    if len(data) != end - start:
        raise InputError("The base changed while it was read.", where=source.name, code="base-changed")
    return data


def _padded(size: int) -> int:
    """Return a size with the padding that follows it."""
    return size + -size % ALIGNMENT
