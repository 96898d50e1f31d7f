"""Lists every architecture of ``families/``, and finds one by its GGUF name or by a Hugging Face class."""

import difflib

from ollama_pack.arch.families.afmoe import AFMOE
from ollama_pack.arch.families.apertus import APERTUS
from ollama_pack.arch.families.arcee import ARCEE
from ollama_pack.arch.families.arctic import ARCTIC
from ollama_pack.arch.families.baichuan import BAICHUAN
from ollama_pack.arch.families.bailing import BAILINGMOE, BAILINGMOE2
from ollama_pack.arch.families.bloom import BLOOM
from ollama_pack.arch.families.codeshell import CODESHELL
from ollama_pack.arch.families.cohere import COHERE2, COMMAND_R
from ollama_pack.arch.families.dbrx import DBRX
from ollama_pack.arch.families.deci import DECI
from ollama_pack.arch.families.deepseek import DEEPSEEK, DEEPSEEK2
from ollama_pack.arch.families.dots1 import DOTS1
from ollama_pack.arch.families.ernie import ERNIE4_5, ERNIE4_5_MOE
from ollama_pack.arch.families.exaone import EXAONE, EXAONE4, EXAONE_MOE
from ollama_pack.arch.families.falcon import FALCON, FALCON_H1
from ollama_pack.arch.families.gemma import GEMMA, GEMMA2, GEMMA3, GEMMA3N, GEMMA4
from ollama_pack.arch.families.glm import CHATGLM, GLM4, GLM4MOE
from ollama_pack.arch.families.gpt2 import GPT2
from ollama_pack.arch.families.gpt_oss import GPT_OSS
from ollama_pack.arch.families.gptneox import GPTNEOX
from ollama_pack.arch.families.granite import GRANITE, GRANITEHYBRID, GRANITEMOE
from ollama_pack.arch.families.hunyuan import HUNYUAN, HUNYUAN_MOE, HY_V3
from ollama_pack.arch.families.internlm2 import INTERNLM2
from ollama_pack.arch.families.jais import JAIS, JAIS2
from ollama_pack.arch.families.jamba import JAMBA
from ollama_pack.arch.families.lfm2 import LFM2, LFM2MOE
from ollama_pack.arch.families.llama import LLAMA, LLAMA4
from ollama_pack.arch.families.mamba import MAMBA, MAMBA2
from ollama_pack.arch.families.mellum import MELLUM
from ollama_pack.arch.families.minicpm import MINICPM, MINICPM3
from ollama_pack.arch.families.minimax import MINIMAX_M2
from ollama_pack.arch.families.mistral3 import MISTRAL3
from ollama_pack.arch.families.mpt import MPT
from ollama_pack.arch.families.nemotron import NEMOTRON, NEMOTRON_H, NEMOTRON_H_MOE
from ollama_pack.arch.families.olmo import OLMO, OLMO2, OLMOE
from ollama_pack.arch.families.openelm import OPENELM
from ollama_pack.arch.families.orion import ORION
from ollama_pack.arch.families.phi import PHI2, PHI3, PHIMOE
from ollama_pack.arch.families.plamo import PLAMO
from ollama_pack.arch.families.qwen import (
    QWEN,
    QWEN2,
    QWEN2MOE,
    QWEN2VL,
    QWEN3,
    QWEN3MOE,
    QWEN3NEXT,
    QWEN3VL,
    QWEN3VLMOE,
    QWEN35,
    QWEN35MOE,
)
from ollama_pack.arch.families.refact import REFACT
from ollama_pack.arch.families.seed_oss import SEED_OSS
from ollama_pack.arch.families.smallthinker import SMALLTHINKER
from ollama_pack.arch.families.smollm3 import SMOLLM3
from ollama_pack.arch.families.stablelm import STABLELM
from ollama_pack.arch.families.starcoder import STARCODER, STARCODER2
from ollama_pack.arch.families.xverse import XVERSE
from ollama_pack.arch.spec import Arch
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


def get_arch(name: str) -> Arch | None:
    """Return the architecture with a GGUF name, or None if the table has none."""
    return next((arch for arch in ARCHS if arch.name == name), None)


def require_arch(name: str) -> Arch:
    """Return the architecture with a GGUF name.

    Raises:
        UnsupportedError: the table has no such architecture.
    """
    arch = get_arch(name)
    if arch is None:
        similar = difflib.get_close_matches(name, [arch.name for arch in ARCHS], 1)
        question = f" Did you mean {similar[0]!r}?" if similar else ""
        raise UnsupportedError(
            f"Models of the architecture {name!r} cannot be converted yet.{question}",
            hint=f"ollama-pack archs  lists the {len(ARCHS)} that can; CONTRIBUTING.md shows how to add one",
            code="architecture-unknown",
        )
    return arch


def arch_of_hf_class(name: str) -> Arch | None:
    """Return the architecture of a Hugging Face class, or None if the table has none.

    If several have this class, the one whose `alternatives` name the others is returned.
    """
    matches = [arch for arch in ARCHS if name in arch.hf_classes]
    return max(matches, key=lambda arch: bool(arch.alternatives), default=None)
