"""How large a merged file would be, from the header of its base alone, before a merge is planned."""

from collections.abc import Iterable, Mapping

from ollama_pack.gguf.ggml_types import BF16, BLOCKS, F16, F32, Q8_0, nbytes_of


def automatic_kind(kind: int, columns: int) -> int:
    """Return the ggml type in which ``--merge-type auto`` writes a matrix that changes.

    Args:
        kind: its type in the base.
        columns: the length of its rows.
    """
    return with_whole_blocks(kind if kind in (F32, F16, BF16) else Q8_0, columns)


def with_whole_blocks(kind: int, columns: int) -> int:
    """Return a ggml type, or that of more bits whose blocks fit into rows of this length."""
    return next((each for each in (kind, Q8_0) if columns % BLOCKS[each][0] == 0), F16)


def size_of_tensors(shapes: Mapping[str, tuple[int, ...]], types: Mapping[str, int]) -> int:
    """Return the bytes of all tensors whose ggml types are known."""
    return sum(nbytes_of(types[name], shape) for name, shape in shapes.items() if types.get(name) in BLOCKS)


def size_if_merged(
    base_size: int, shapes: Mapping[str, tuple[int, ...]], types: Mapping[str, int], changed: Iterable[str]
) -> int | None:
    """Return about how many bytes a merged file has, or None if the base does not tell.

    The keys that a merged file has more are not counted.

    Args:
        base_size: the size of the file of the base.
        shapes: the shape of each tensor of the base, rows first.
        types: the ggml type of each tensor of the base.
        changed: the names of the tensors that change.

    Example:
        >>> size_if_merged(10_000, {"w": (32, 64)}, {"w": 2}, ["w"])  # from Q4_0 to Q8_0
        11024
    """
    size = base_size
    for name in changed:
        shape, kind = shapes.get(name), types.get(name)
        if shape is None or kind not in BLOCKS:
            return None
        size += nbytes_of(automatic_kind(kind, shape[-1]), shape) - nbytes_of(kind, shape)
    return size
