"""Checks whether a model fits into the memory of this machine."""

import contextlib
import os
from pathlib import Path

from ollama_pack.disk.files import megabytes
from ollama_pack.engine.answers import Weights
from ollama_pack.errors import UnsupportedError


def require_memory(weights: Weights) -> None:
    """Require that the files of a model fit into the memory of this machine, where that is known.

    Raises:
        UnsupportedError: the files are larger than the memory.
    """
    size, most = sum(map(_size_of, (weights.base, *weights.adapters))), machine_memory()
    if most and size > most:
        raise UnsupportedError(
            f"The model takes {megabytes(size)}, and this machine has {megabytes(most)} of memory.",
            where=weights.base,
            hint="a machine with more memory, or a smaller base with --base",
            code="too-large",
        )


def machine_memory() -> int:
    """Return how many bytes of memory a process may have on this machine, or 0 if that is unknown."""
    most = 0
    with contextlib.suppress(ValueError, OSError, AttributeError):  # Windows has no sysconf
        most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(ValueError, OSError):  # "max", or no control group
        bound = int(Path("/sys/fs/cgroup/memory.max").read_text("ascii"))
        most = min(most, bound) if most else bound
    return most


def _size_of(path: Path) -> int:
    """Return the size of a file, or 0 if it cannot be seen."""
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
