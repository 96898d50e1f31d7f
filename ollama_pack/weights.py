"""Numbers of a stored tensor, read in one bounded piece and brought to float32.

bfloat16 has no numpy dtype: it is the upper half of a float32, so reading it is a shift.
"""

from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ollama_pack.errors import InputError
from ollama_pack.parts import StoredTensor

Float32 = npt.NDArray[np.float32]
Stored = npt.NDArray[Any]
"""Numbers as they lie in a file: float32, float16, or bfloat16 as uint16."""

STORAGE: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}
"""How each dtype is held in memory before it is widened."""


def open_weights(path: Path) -> FileIO:
    """Return a file of weights, open for unbuffered reading.

    Raises:
        InputError: the file cannot be opened.
    """
    try:
        return FileIO(path, "rb")
    except OSError as error:
        raise InputError(f"Cannot read the weights: {error.strerror}.", where=path) from error


def read_stored(file: FileIO, tensor: StoredTensor) -> Stored:
    """Return a tensor as it is stored (bfloat16 as uint16), in its shape.

    Raises:
        InputError: the file ends inside the tensor, or cannot be read.
    """
    array = np.empty(tensor.shape, STORAGE[tensor.dtype])
    view = array.reshape(-1).view(np.uint8).data
    done = 0
    try:
        file.seek(tensor.offset)
        while done < tensor.nbytes:
            got = file.readinto(view[done:])
            if not got:
                raise InputError(
                    "The file became shorter while it was read.", where=f"{tensor.path}: {tensor.name}"
                )
            done += got
    except OSError as error:
        raise InputError(f"Cannot read: {error.strerror}.", where=f"{tensor.path}: {tensor.name}") from error
    return array


def widened(stored: Stored, dtype: str) -> Float32:
    """Return stored numbers as float32; exact for every dtype."""
    if dtype == "BF16":
        wide: Float32 = (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return wide
    return stored.astype(np.float32, copy=False)


def read_float32(file: FileIO, tensor: StoredTensor) -> Float32:
    """Return a tensor's numbers as float32, in its shape; exact for every dtype.

    Raises:
        InputError: the file ends inside the tensor, or cannot be read.
    """
    return widened(read_stored(file, tensor), tensor.dtype)
