"""Lists every architecture of ``families/``, and finds one by its GGUF name or by a Hugging Face class.

The module of a family is imported when one of its architectures is asked for: a build needs one of them.
"""

import functools
import importlib

from ollama_pack.arch.spec import Arch
from ollama_pack.errors import UnsupportedError

FAMILIES = {
    "llama": "llama",
    "mistral3": "mistral3",
    "smollm3": "smollm3",
    "arcee": "arcee",
    "llama4": "llama",
    "qwen2": "qwen",
    "qwen2moe": "qwen",
    "qwen2vl": "qwen",
    "qwen3": "qwen",
    "qwen3moe": "qwen",
    "qwen3vl": "qwen",
    "qwen3vlmoe": "qwen",
    "qwen3next": "qwen",
    "qwen35": "qwen",
    "qwen35moe": "qwen",
    "gemma": "gemma",
    "gemma2": "gemma",
    "gemma3": "gemma",
    "gemma3n": "gemma",
    "gemma4": "gemma",
    "phi2": "phi",
    "phi3": "phi",
    "phimoe": "phi",
    "granite": "granite",
    "granitemoe": "granite",
    "granitehybrid": "granite",
    "gpt-oss": "gpt_oss",
    "gpt2": "gpt2",
    "gptneox": "gptneox",
    "starcoder": "starcoder",
    "starcoder2": "starcoder",
    "falcon": "falcon",
    "falcon-h1": "falcon",
    "bloom": "bloom",
    "stablelm": "stablelm",
    "nemotron": "nemotron",
    "nemotron_h": "nemotron",
    "nemotron_h_moe": "nemotron",
    "olmo": "olmo",
    "olmo2": "olmo",
    "olmoe": "olmo",
    "command-r": "cohere",
    "cohere2": "cohere",
    "deepseek": "deepseek",
    "deepseek2": "deepseek",
    "chatglm": "glm",
    "glm4": "glm",
    "glm4moe": "glm",
    "exaone": "exaone",
    "exaone4": "exaone",
    "exaone-moe": "exaone",
    "ernie4_5": "ernie",
    "ernie4_5-moe": "ernie",
    "hunyuan-dense": "hunyuan",
    "hunyuan-moe": "hunyuan",
    "hy_v3": "hunyuan",
    "seed_oss": "seed_oss",
    "apertus": "apertus",
    "lfm2": "lfm2",
    "lfm2moe": "lfm2",
    "mamba": "mamba",
    "mamba2": "mamba",
    "jamba": "jamba",
    "afmoe": "afmoe",
    "dots1": "dots1",
    "mellum": "mellum",
    "minimax-m2": "minimax",
    "jais": "jais",
    "jais2": "jais",
    "minicpm": "minicpm",
    "minicpm3": "minicpm",
    "orion": "orion",
    "plamo": "plamo",
    "qwen": "qwen",
    "mpt": "mpt",
    "baichuan": "baichuan",
    "internlm2": "internlm2",
    "xverse": "xverse",
    "deci": "deci",
    "openelm": "openelm",
    "codeshell": "codeshell",
    "refact": "refact",
    "bailingmoe": "bailing",
    "bailingmoe2": "bailing",
    "arctic": "arctic",
    "dbrx": "dbrx",
    "smallthinker": "smallthinker",
}
"""Maps the GGUF name of each architecture to the module of ``families/`` that describes it."""


@functools.cache
def all_archs() -> tuple[Arch, ...]:
    """Return every architecture, in the order of `FAMILIES`."""
    return tuple(_arch_of_family(name) for name in FAMILIES)


def get_arch(name: str) -> Arch | None:
    """Return the architecture with a GGUF name, or None if the table has none."""
    return _arch_of_family(name) if name in FAMILIES else None


@functools.cache
def _arch_of_family(name: str) -> Arch:
    """Return the architecture with a GGUF name from the module of its family."""
    module = importlib.import_module(f"ollama_pack.arch.families.{FAMILIES[name]}")
    return next(each for each in vars(module).values() if isinstance(each, Arch) and each.name == name)


def require_arch(name: str) -> Arch:
    """Return the architecture with a GGUF name.

    Raises:
        UnsupportedError: the table has no such architecture.
    """
    arch = get_arch(name)
    if arch is None:
        import difflib

        count, similar = len(FAMILIES), difflib.get_close_matches(name, FAMILIES, 1)
        question = f" Did you mean {similar[0]!r}?" if similar else ""
        raise UnsupportedError(
            f"Models of the architecture {name!r} cannot be converted yet.{question}",
            hint=f"ollama-pack archs  lists the {count} that can; CONTRIBUTING.md shows how to add one",
            code="architecture-unknown",
        )
    return arch


def arch_of_hf_class(name: str) -> Arch | None:
    """Return the architecture of a Hugging Face class, or None if the table has none.

    If several have this class, the one whose `alternatives` name the others is returned.
    """
    matches = [arch for arch in all_archs() if name in arch.hf_classes]
    return max(matches, key=lambda arch: bool(arch.alternatives), default=None)
