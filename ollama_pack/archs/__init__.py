"""The table of architectures: one small file a family, one row a GGUF architecture."""

from ollama_pack.archs.llama import LLAMA
from ollama_pack.archs.qwen2 import QWEN2
from ollama_pack.archs.row import Arch, Target, Weight, dimension, find_target
from ollama_pack.errors import UnsupportedError

ARCHS: tuple[Arch, ...] = (LLAMA, QWEN2)

__all__ = ["ARCHS", "Arch", "Target", "Weight", "dimension", "find_arch", "find_target"]


def find_arch(name: str) -> Arch:
    """Return the row of a GGUF architecture.

    Raises:
        UnsupportedError: there is none.
    """
    for arch in ARCHS:
        if arch.name == name:
            return arch
    raise UnsupportedError(
        f"Models of the architecture {name!r} cannot be converted yet; those of "
        f"{', '.join(arch.name for arch in ARCHS)} can.",
        hint="ollama-pack archs  lists them with their modules; CONTRIBUTING.md shows how to add one",
    )
