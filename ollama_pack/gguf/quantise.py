"""Quantises a whole GGUF file as llama.cpp's own program does, in a process that runs its code."""

import contextlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ollama_pack.disk.files import Progress
from ollama_pack.errors import UnsupportedError, UsageError
from ollama_pack.gguf import quantise_worker
from ollama_pack.gguf.constants import FILE_TYPES
from ollama_pack.gguf.ggml_library import installed_ggml

Importance = Mapping[str, npt.NDArray[np.float32]]


def find_quantiser() -> Path:
    """Return a library of llama.cpp that can quantise files; xllamacpp leaves that function out.

    Raises:
        UsageError: llama-cpp-python is not installed.
    """
    if found := installed_ggml("llama_cpp"):
        return found
    raise UsageError(
        "Quantising a whole file needs llama-cpp-python, which is not installed.",
        hint="pip install 'ollama-pack[llama]', which compiles llama.cpp",
        code="extra-missing",
    )


def quantise_file(
    source: Path,
    target: Path,
    file_type: str,
    importance: Importance | None = None,
    progress: Progress | None = None,
) -> None:
    """Write a GGUF file in other types, those that llama.cpp's program gives its tensors.

    Args:
        source: the file, in F16, BF16, F32 or Q8_0.
        target: the file to write; it is overwritten.
        file_type: the name of a mixture of types, ``q4_k_m``.
        importance: the values of an importance matrix by the name of the tensor, or None.
        progress: called while the file grows.

    Raises:
        UsageError: llama-cpp-python is not installed.
        UnsupportedError: llama.cpp does not quantise this file.
    """
    number = next(number for number, name in FILE_TYPES.items() if name == file_type.upper())
    words = [quantise_worker.__file__, find_quantiser(), number, source, target]
    command = [sys.executable, "-I", "-S", *map(str, words)]
    pipe, size = subprocess.PIPE, source.stat().st_size
    with subprocess.Popen(command, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe) as process:
        assert process.stderr is not None
        try:
            _send(process, importance or {})
            while process.poll() is None:
                if progress is not None and target.exists():
                    progress(f"quantising to {file_type}", min(target.stat().st_size, size), size)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.3)
        finally:
            process.kill()
        said = process.stderr.read().decode("utf-8", "replace").strip().splitlines()
    if process.returncode != 0:
        raise UnsupportedError(
            f"llama.cpp does not quantise the merged file: {said[-1] if said else 'its process ended'}.",
            where=source.name,
            hint="--merge-type auto",
            code="not-quantised",
        )


def _send(process: "subprocess.Popen[bytes]", importance: Importance) -> None:
    """Give a process its importance matrix; if it has ended, its status and its words tell why."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        for name, values in importance.items():
            text = name.encode()
            process.stdin.write(quantise_worker.LENGTH.pack(len(text)) + text)
            process.stdin.write(quantise_worker.VALUE_COUNT.pack(values.size))
            process.stdin.write(values.astype("<f4").tobytes())
        process.stdin.close()
