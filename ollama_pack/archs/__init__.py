"""The table of architectures: one small file a family, one row a GGUF architecture."""

import difflib

from ollama_pack.archs.cohere import COHERE2, COMMAND_R
from ollama_pack.archs.deepseek2 import DEEPSEEK2, MINICPM3
from ollama_pack.archs.falcon import BLOOM, FALCON
from ollama_pack.archs.foreign import (
    BAICHUAN,
    CODESHELL,
    DECI,
    EXAONE,
    INTERNLM2,
    JAIS,
    MINICPM,
    MPT,
    OPENELM,
    ORION,
    PLAMO,
    QWEN,
    REFACT,
    XVERSE,
)
from ollama_pack.archs.foreign_mixtures import ARCTIC, BAILINGMOE, BAILINGMOE2, DBRX, DEEPSEEK, SMALLTHINKER
from ollama_pack.archs.gemma import GEMMA, GEMMA2, GEMMA3, GEMMA3N, GEMMA4
from ollama_pack.archs.glm import CHATGLM, GLM4, GLM4MOE
from ollama_pack.archs.gpt2 import GPT2
from ollama_pack.archs.gpt_oss import GPT_OSS
from ollama_pack.archs.gptneox import GPTNEOX
from ollama_pack.archs.granite import GRANITE
from ollama_pack.archs.halves import APERTUS, ERNIE4_5, EXAONE4, HUNYUAN, JAIS2, NEMOTRON, SEED_OSS, STABLELM
from ollama_pack.archs.lfm2 import LFM2
from ollama_pack.archs.llama import LLAMA
from ollama_pack.archs.mamba import FALCON_H1, GRANITEHYBRID, MAMBA, MAMBA2, NEMOTRON_H, NEMOTRON_H_MOE
from ollama_pack.archs.mixtures import (
    AFMOE,
    DOTS1,
    ERNIE4_5_MOE,
    EXAONE_MOE,
    GRANITEMOE,
    HUNYUAN_MOE,
    HY_V3,
    JAMBA,
    LFM2MOE,
    LLAMA4,
    MELLUM,
    MINIMAX_M2,
    PHIMOE,
    QWEN3VLMOE,
)
from ollama_pack.archs.neighbours import ARCEE, MISTRAL3, SMOLLM3
from ollama_pack.archs.olmo import OLMO, OLMO2, OLMOE
from ollama_pack.archs.phi import PHI2, PHI3
from ollama_pack.archs.qwen2 import QWEN2
from ollama_pack.archs.qwen2moe import QWEN2MOE
from ollama_pack.archs.qwen3 import QWEN3
from ollama_pack.archs.qwen3moe import QWEN3MOE
from ollama_pack.archs.qwen3next import QWEN3NEXT, QWEN35, QWEN35MOE
from ollama_pack.archs.row import Arch, Kind, Target, Weight, dimension, find_targets
from ollama_pack.archs.seeing import QWEN2VL, QWEN3VL
from ollama_pack.archs.starcoder import STARCODER, STARCODER2
from ollama_pack.errors import UnsupportedError

ARCHS: tuple[Arch, ...] = (
    *(LLAMA, MISTRAL3, SMOLLM3, ARCEE, LLAMA4),
    *(QWEN2, QWEN2MOE, QWEN2VL, QWEN3, QWEN3MOE, QWEN3VL, QWEN3VLMOE, QWEN3NEXT, QWEN35, QWEN35MOE),
    *(GEMMA, GEMMA2, GEMMA3, GEMMA3N, GEMMA4),
    *(PHI2, PHI3, PHIMOE),
    *(GRANITE, GRANITEMOE, GRANITEHYBRID),
    *(GPT_OSS, GPT2, GPTNEOX, STARCODER, STARCODER2),
    *(FALCON, FALCON_H1, BLOOM, STABLELM, NEMOTRON, NEMOTRON_H, NEMOTRON_H_MOE),
    *(OLMO, OLMO2, OLMOE, COMMAND_R, COHERE2),
    *(DEEPSEEK, DEEPSEEK2, CHATGLM, GLM4, GLM4MOE, EXAONE, EXAONE4, EXAONE_MOE),
    *(ERNIE4_5, ERNIE4_5_MOE, HUNYUAN, HUNYUAN_MOE, HY_V3, SEED_OSS, APERTUS, LFM2, LFM2MOE),
    *(MAMBA, MAMBA2, JAMBA, AFMOE, DOTS1, MELLUM, MINIMAX_M2, JAIS, JAIS2),
    *(
        MINICPM,
        MINICPM3,
        ORION,
        PLAMO,
        QWEN,
        MPT,
        BAICHUAN,
        INTERNLM2,
        XVERSE,
        DECI,
        OPENELM,
        CODESHELL,
        REFACT,
    ),
    *(BAILINGMOE, BAILINGMOE2, ARCTIC, DBRX, SMALLTHINKER),
)

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
    "known_arch",
]


def known_arch(name: str) -> Arch | None:
    """Return the row of a GGUF architecture, None where there is none."""
    return next((arch for arch in ARCHS if arch.name == name), None)


def find_arch(name: str) -> Arch:
    """Return the row of a GGUF architecture.

    Raises:
        UnsupportedError: there is none.
    """
    arch = known_arch(name)
    if arch is None:
        near = [
            f" ({each} can)" for each in difflib.get_close_matches(name, [arch.name for arch in ARCHS], 1)
        ]
        raise UnsupportedError(
            f"Models of the architecture {name!r} cannot be converted yet{''.join(near)}.",
            hint=f"ollama-pack archs  lists the {len(ARCHS)} that can; CONTRIBUTING.md shows how to add one",
        )
    return arch


def find_class(name: str) -> Arch | None:
    """Return the row of a Hugging Face class, of several that which names the others; None where none is."""
    found = [arch for arch in ARCHS if name in arch.classes]
    return max(found, key=lambda arch: bool(arch.also), default=None)
