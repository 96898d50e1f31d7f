"""The embeddings and heads that PEFT saves beside what it trained of them.

With ``save_embedding_layers`` (which is automatic if the vocabulary was resized) a file has, for an embedding
or a head that is adapted, its frozen weight under ``base_layer``; for one of ``modules_to_save``, the frozen
weight under ``original_module`` and the trained one a second time. Frozen weights are the base's own, unless
the vocabulary was resized: then nothing else has the rows of the new tokens.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from ollama_pack.gguf.tensor_rows import read_tensor_rows
from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.adapter import TrainedTensor
from ollama_pack.lora.peft.extra_tensors import EMBEDDING_MODULES, ORIGINAL, SAVED
from ollama_pack.lora.peft.keys import TensorKey

TOKEN_ADAPTER = "token_adapter"
"""The segment under which PEFT holds trained rows of an embedding, and the embedding itself."""

RESIZED = "resized"
"""The rule of a whole embedding or head that was not trained itself."""

ROWS_AT_ONCE = 1 << 12


def embedding_copies(
    strangers: Mapping[str, TensorKey], tensors: Mapping[str, Tensor]
) -> tuple[TrainedTensor, ...]:
    """Return the frozen embeddings and heads in a file, each under its module.

    Args:
        strangers: the tensors that are no factors, with their parsed names.
        tensors: all tensors.
    """
    return tuple(
        TrainedTensor(RESIZED, module, tensors[name])
        for name, key in strangers.items()
        if (module := _embedding_of(key)) and _is_frozen(key)
    )


def saved_again(strangers: Mapping[str, TensorKey], tensors: Mapping[str, Tensor]) -> frozenset[str]:
    """Return the names of embeddings and heads that are in the file under ``modules_to_save`` too.

    If the two tensors differ, the name is left out.
    """
    plain = {
        key.module: name
        for name, key in strangers.items()
        if _embedding_of(key) == key.module and not key.depth
    }
    return frozenset(
        other
        for name, key in strangers.items()
        if f".{SAVED}" in f".{key.module}"
        and (other := plain.get(_embedding_of(key)))
        and same_numbers(tensors[name], tensors[other])
    )


def same_numbers(one: Tensor, other: Tensor) -> bool:
    """Return whether two matrices are equal; they are read in pieces.

    Raises:
        InputError: one of them cannot be read.
    """
    return one.shape == other.shape and all(
        np.array_equal(read_tensor_rows(one, rows), read_tensor_rows(other, rows))
        for rows in _row_pieces(one)
    )


def _row_pieces(tensor: Tensor) -> "Iterator[np.ndarray[tuple[int], np.dtype[np.intp]]]":
    """Yield the row indices of a tensor, some at a time."""
    count = tensor.shape[0]
    for start in range(0, count, ROWS_AT_ONCE):
        yield np.arange(start, min(start + ROWS_AT_ONCE, count))


def _embedding_of(key: TensorKey) -> str:
    """Return the embedding or head that a weight belongs to, or "" if it is of another module."""
    module = key.module
    for part in (SAVED, ORIGINAL, TOKEN_ADAPTER):
        module = module.partition(f".{part}")[0]
    return module if key.part == "weight" and EMBEDDING_MODULES.search(module) else ""


def _is_frozen(key: TensorKey) -> bool:
    """Return whether a weight of an embedding or a head is what PEFT froze."""
    return key.depth > 0 or f".{ORIGINAL}" in f".{key.module}"
