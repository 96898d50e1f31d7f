"""How large a merged file would be, from the header of its base alone, before a merge is planned."""

from collections.abc import Iterable, Mapping

from ollama_pack.gguf.ggml_types import BF16, BLOCKS, F16, F32, Q5_K, Q6_K, Q8_0, nbytes_of

AUTO_TYPE, SAME_TYPE = "auto", "same"
MERGE_TYPES: dict[str, int | None] = {
    AUTO_TYPE: None,
    "q8_0": Q8_0,
    "f16": F16,
    "bf16": BF16,
    "f32": F32,
    "q6_k": Q6_K,
    "q5_k": Q5_K,
    SAME_TYPE: None,
}
"""The choices for the type of a touched tensor, each with its ggml type, or None if the base decides."""


def automatic_kind(kind: int, columns: int) -> int:
    """Return the ggml type in which ``--merge-type auto`` writes a matrix that changes.

    Args:
        kind: its type in the base.
        columns: the length of its rows.
    """
    return with_whole_blocks(kind if kind in (F32, F16, BF16) else Q8_0, columns)


def kind_if_merged(merge_type: str | int, kind: int, columns: int) -> int:
    """Return the ggml type in which a matrix that changes is written.

    Args:
        merge_type: a key of `MERGE_TYPES`, or a ggml type.
        kind: its type in the base.
        columns: the length of its rows.
    """
    if merge_type == AUTO_TYPE:
        return automatic_kind(kind, columns)
    chosen = MERGE_TYPES[merge_type] if isinstance(merge_type, str) else merge_type
    return with_whole_blocks(kind if chosen is None else chosen, columns)


def with_whole_blocks(kind: int, columns: int) -> int:
    """Return a ggml type if its blocks fit into rows of this length, else Q8_0 if it fits, else F16."""
    return next((each for each in (kind, Q8_0) if columns % BLOCKS[each][0] == 0), F16)


def size_if_merged(
    base_size: int,
    shapes: Mapping[str, tuple[int, ...]],
    types: Mapping[str, int],
    changed: Iterable[str],
    merge_type: str | int = AUTO_TYPE,
) -> int | None:
    """Return about how many bytes a merged file has, or None if a changed tensor's shape or type is unknown.

    The keys that merging adds are not counted.

    Args:
        base_size: the size of the file of the base.
        shapes: the shape of each tensor of the base, rows first.
        types: the ggml type of each tensor of the base.
        changed: the names of the tensors that change.
        merge_type: the type in which they are written: a key of `MERGE_TYPES`, or a ggml type.

    Example:
        >>> size_if_merged(10_000, {"w": (32, 64)}, {"w": 2}, ["w"])  # from Q4_0 to Q8_0
        11024
    """
    size = base_size
    for name in changed:
        shape, kind = shapes.get(name), types.get(name)
        if shape is None or kind not in BLOCKS:
            return None
        size += nbytes_of(kind_if_merged(merge_type, kind, shape[-1]), shape) - nbytes_of(kind, shape)
    return size
