"""The table of architectures: one small file a family, one row a GGUF architecture."""

from ollama_pack.archs.deepseek2 import DEEPSEEK2
from ollama_pack.archs.gpt2 import GPT2
from ollama_pack.archs.gpt_oss import GPT_OSS
from ollama_pack.archs.llama import LLAMA
from ollama_pack.archs.qwen2 import QWEN2
from ollama_pack.archs.qwen3moe import QWEN3MOE
from ollama_pack.archs.row import Arch, Kind, Target, Weight, dimension, find_targets
from ollama_pack.errors import UnsupportedError

ARCHS: tuple[Arch, ...] = (LLAMA, QWEN2, QWEN3MOE, GPT_OSS, GPT2, DEEPSEEK2)

__all__ = [
    "ARCHS",
    "Arch",
    "Kind",
    "Target",
    "Weight",
    "dimension",
    "find_arch",
    "find_class",
    "find_targets",
]


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


def find_class(name: str) -> Arch | None:
    """Return the row of a Hugging Face class, None where there is none."""
    return next((arch for arch in ARCHS if name in arch.classes), None)
