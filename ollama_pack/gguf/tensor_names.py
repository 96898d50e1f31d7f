"""What llama.cpp calls a tensor of Hugging Face's: the gguf library's own table."""

from functools import lru_cache


@lru_cache(maxsize=8)
def _names_of(arch: str, blocks: int) -> "object":
    """Return the library's table for an architecture, or None if it does not know it."""
    import gguf

    for number, name in gguf.MODEL_ARCH_NAMES.items():
        if name == arch:
            return gguf.get_tensor_name_map(number, blocks)
    return None


def find_tensor_name(arch: str, blocks: int, module: str) -> str:
    """Return the name of a module's tensors without its ending, ``blk.0.attn_norm``, or "" if none is known.

    Args:
        arch: the architecture, ``llama``.
        blocks: how many layers the base has.
        module: the name of the module in Hugging Face's model.
    """
    names = _names_of(arch, blocks)
    return (names.get_name(module) or "") if names is not None else ""  # type: ignore[attr-defined]
