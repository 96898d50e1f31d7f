"""Reads some rows of a tensor, so that no more of it is in memory than what is worked on."""

import numpy as np
import numpy.typing as npt

from ollama_pack.errors import InputError
from ollama_pack.gguf.tensor_data import STORAGE, Float32, TensorReader, to_float32
from ollama_pack.gguf.tensors import StoredTensor, Tensor
from ollama_pack.shown import reason_of

Index = npt.NDArray[np.intp]


def read_tensor_rows(tensor: Tensor, rows: Index) -> Float32:
    """Return rows of a matrix as float32, in the order asked for; a vector counts as a matrix of one column.

    A tensor that lies in a file is mapped, and only the pages of these rows are read.

    Raises:
        InputError: the file cannot be read.
    """
    width = tensor.shape[-1] if len(tensor.shape) > 1 else 1
    if not isinstance(tensor, StoredTensor) or tensor.dtype not in STORAGE:
        with TensorReader() as weights:
            return weights.float32(tensor).reshape(-1, width)[rows]
    try:
        mapped = np.memmap(tensor.path, STORAGE[tensor.dtype], "r", tensor.offset, (*tensor.shape, 1)[:2])
    except (OSError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else "the file ends inside the tensor"
        raise InputError(
            f"Cannot read the tensor: {reason}.", where=f"{tensor.path}: {tensor.name}"
        ) from error
    return to_float32(np.asarray(mapped[rows]), tensor.dtype)
