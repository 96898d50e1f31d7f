"""Writes a merged GGUF, as a stream: untouched tensors byte for byte, touched ones with their change.

What is untouched is copied by the kernel where it can, so that a file system with reflinks stores it once.
What is touched is computed block by block. Each process writes what it made to its place in the file, and the
first of them takes the SHA-256 of all pieces in their order, while they are in the cache.
"""

import contextlib
import os
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from ollama_pack.disk.files import Progress, whole_file
from ollama_pack.errors import InputError
from ollama_pack.gguf.constants import ALIGNMENT, MAGIC, VERSION
from ollama_pack.gguf.ggml_blocks import BlockWriter
from ollama_pack.gguf.ggml_types import nbytes_of
from ollama_pack.gguf.tensor_data import keep_freed_memory
from ollama_pack.gguf.writer import pack_string, pack_value
from ollama_pack.jobs.several_cores import Codec, Job, done_in_order, helpers_for
from ollama_pack.merge.base_tensor import BaseTensor
from ollama_pack.merge.draft import DraftFile, Written
from ollama_pack.merge.plan import MergedTensor, MergePlan
from ollama_pack.merge.rows import RowBlock, row_blocks, row_width
from ollama_pack.merge.tensor_work import TensorWork, can_be_shared

COPY_BYTES = 8 << 20
"""The number of bytes that one job copies; the progress is reported after each job."""

WRITTEN: Codec[Written] = Codec(lambda _: b"", lambda _: None)
"""The codec of pieces that another process wrote: nothing is sent, because they are read from the file."""


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
        check: called with the finished file before it gets its name; if it raises, the file does not appear.
        progress: called while the file grows.

    Raises:
        InputError: the base or the adapter cannot be read, or changed while it was read.
        UnsupportedError: a merged number is too large for the type that is written.
        DestinationError: the file cannot be written.
    """
    keep_freed_memory()
    header = merged_header(plan)
    total = len(header) + _size_of_tensors(plan)
    helpers = helpers_for(total)
    with _OpenBase(plan) as sources, whole_file(path) as file:
        draft = DraftFile(file, total)
        draft.hash(0, len(header), draft.write(0, memoryview(header)))
        work = TensorWork(plan.touched, sources.file, sources.blocks)
        work.choose_roundings(helpers)
        pieces = list(_pieces_of(plan, len(header), draft, sources, work))
        written = done_in_order([piece.job for piece in pieces], WRITTEN, helpers)
        with contextlib.closing(written):
            for piece, data in zip(pieces, written, strict=True):
                draft.hash(piece.place, piece.size, data)
                if progress is not None:
                    progress(f"merging into {path.name}", draft.hashed, total)
        sources.require_unchanged()
        on_disk = sources.thread.submit(os.fsync, file.fileno())  # while the file is checked
        if check is not None:
            check(Path(file.name))
        on_disk.result()
    return draft.digest(), total


def merged_size(plan: MergePlan) -> int:
    """Return the size in bytes that the merged file will have."""
    return len(merged_header(plan)) + _size_of_tensors(plan)


def _size_of_tensors(plan: MergePlan) -> int:
    """Return the size in bytes of everything after the header, with the padding."""
    return sum(_padded(tensor.nbytes) for tensor in plan.tensors)


def rest_of(plan: MergePlan) -> int:
    """Return an upper bound of a merged file's bytes besides the tensors that change."""
    return merged_size(plan) + ALIGNMENT * len(plan.touched) - sum(tensor.nbytes for tensor in plan.touched)


def merged_header(plan: MergePlan) -> bytes:
    """Return the header of a merged file: the keys of the base, except those that are set or left out."""
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
    """The files of a base, open while it is merged, and the helpers that are closed with them.

    Attributes:
        thread: a pool of one thread, which waits for the disk.
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
        self.blocks = self._stack.enter_context(BlockWriter())
        self.thread = self._stack.enter_context(ThreadPoolExecutor(1, "merge"))
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def file(self, tensor: BaseTensor) -> FileIO:
        """Return the open file that a tensor of the base lies in."""
        return self._files[tensor.path]

    def require_unchanged(self) -> None:
        """Require that no file of the base has changed since the merge began.

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
        """Return the size and the time of an open file."""
        status = os.fstat(self._files[path].fileno())
        return status.st_size, status.st_mtime_ns


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of the file: where it begins, its size, and the work on it."""

    place: int
    size: int
    job: Job[Written]


def _pieces_of(
    plan: MergePlan, place: int, draft: DraftFile, sources: _OpenBase, work: TensorWork
) -> Iterator[_Piece]:
    """Yield the pieces of all tensors, of which the first begins at `place`."""
    for tensor in plan.tensors:
        if tensor.is_touched:
            yield from _merged_pieces(tensor, place, draft, work)
        else:
            source = sources.file(tensor.base)
            for first in range(0, tensor.nbytes, COPY_BYTES):
                size = min(COPY_BYTES, tensor.nbytes - first)
                copy = partial(draft.copy, place + first, tensor.base, first, size, source)
                yield _Piece(place + first, size, Job(copy))
        place += _padded(tensor.nbytes)


def _merged_pieces(tensor: MergedTensor, place: int, draft: DraftFile, work: TensorWork) -> Iterator[_Piece]:
    """Yield the pieces of a tensor that changes."""
    row_size, is_shared = nbytes_of(tensor.kind, (row_width(tensor.base),)), can_be_shared(tensor)

    def merge(block: RowBlock, at: int) -> Written:
        return draft.write(at, work.merged(tensor, block).data)

    for block in row_blocks(tensor.base, tensor.rows):
        size = (block.end - block.start) * row_size
        yield _Piece(place, size, Job(partial(merge, block, place), is_shared))
        place += size


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
