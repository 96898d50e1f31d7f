"""Writes the blocks of the types that llama.cpp alone knows how to round, by processes that run its code."""

import contextlib
import queue
import subprocess
import sys
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from ollama_pack.gguf import ggml_worker
from ollama_pack.gguf.blocks import can_write_blocks, write_blocks
from ollama_pack.gguf.code_layouts import Bytes
from ollama_pack.gguf.ggml_library import find_ggml, unusable_ggml
from ollama_pack.gguf.tensor_data import Float32

if TYPE_CHECKING:
    from pathlib import Path

GGML_WRITES = {10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 20: "IQ4_NL", 23: "IQ4_XS"}
"""The ggml types that llama.cpp writes without an importance matrix, and the gguf library does not."""


def needs_ggml(kind: int) -> bool:
    """Return whether a type is written by llama.cpp alone."""
    return kind in GGML_WRITES and not can_write_blocks(kind)


class BlockWriter:
    """Writes blocks of every type that can be written, for several threads at once.

    A process of llama.cpp starts when the first block needs one, and each thread that comes while all are
    busy starts another.

    Example:
        >>> with BlockWriter() as blocks:
        ...     len(blocks.write(np.ones((2, 32), np.float32), 8))
        68
    """

    def __init__(self) -> None:
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._all: list[subprocess.Popen[bytes]] = []
        self._library: Path | None = None

    def __enter__(self) -> "BlockWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._all:
            process.kill()
            process.communicate()

    def write(self, numbers: Float32, kind: int) -> Bytes:
        """Return the bytes of whole rows in a ggml type; the numbers are finite if llama.cpp writes it.

        Raises:
            UsageError: the type needs llama.cpp, which is not there or cannot be used.
        """
        if not needs_ggml(kind):
            return write_blocks(numbers, kind)
        process = self._worker()
        assert process.stdin is not None
        assert process.stdout is not None
        content = np.ascontiguousarray(numbers, "<f4")
        answer = b""
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(ggml_worker.REQUEST.pack(kind, *content.shape))
            process.stdin.write(content.data)
            process.stdin.flush()
            answer = process.stdout.read(ggml_worker.ANSWER.size)
        if len(answer) == ggml_worker.ANSWER.size:
            (size,) = ggml_worker.ANSWER.unpack(answer)
            written = process.stdout.read(size)
            if len(written) == size:
                self._idle.put(process)
                return np.frombuffer(written, np.uint8)
        said = process.stderr.read().decode("utf-8", "replace") if process.stderr else ""
        assert self._library is not None
        raise unusable_ggml(self._library, said.strip())

    def _worker(self) -> "subprocess.Popen[bytes]":
        """Return a process that is idle, or a new one."""
        with contextlib.suppress(queue.Empty):
            return self._idle.get_nowait()
        self._library = self._library or find_ggml()
        pipe = subprocess.PIPE
        command = [sys.executable, "-I", "-S", ggml_worker.__file__, str(self._library)]
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        self._all.append(process)
        return process
