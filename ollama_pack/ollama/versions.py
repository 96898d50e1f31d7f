"""The generations of Ollama: how each one accepts adapters, and which models with an adapter it runs.

``--via auto``, the warnings, ``doctor`` and docs/delivery.md all use this table. See "Ollama is known by its
generations" in docs/decisions.md.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Generation:
    """A range of releases that behave alike.

    Attributes:
        first: the first release of the range.
        creates: whether ``/api/create`` creates models with adapters.
        newer: whether the store has ``manifests-v2``.
        runs: a phrase that says which models with an adapter these releases run.
    """

    first: Version
    creates: bool
    newer: bool
    runs: str


NEW_ENGINE: Mapping[str, Version] = MappingProxyType(
    {
        **dict.fromkeys(("gemma3",), (0, 6, 0)),
        **dict.fromkeys(("mistral3", "llama4", "mllama", "qwen25vl"), (0, 9, 0)),
        **dict.fromkeys(("gemma3n", "qwen3", "gptoss", "gpt-oss"), (0, 12, 0)),
        **dict.fromkeys(("olmo3", "qwen3moe", "qwen3vl", "qwen3vlmoe"), (0, 15, 0)),
        **dict.fromkeys(("deepseek2", "deepseekocr", "glm4moelite", "lfm2"), (0, 15, 0)),
        **dict.fromkeys(("gemma4", "qwen35", "qwen35moe", "qwen3next", "glmocr", "lfm2moe"), (0, 20, 0)),
    }
)
"""Maps an architecture to the first release that ran it on an engine without LoRA; this ended with 0.30.0."""

GENERATIONS = (
    Generation(
        (0, 3, 7),
        creates=False,
        newer=False,
        runs="every GGUF base; its `/api/create` has another request format",
    ),
    Generation(
        (0, 5, 5),
        creates=True,
        newer=False,
        runs="GGUF bases, except architectures that run on an engine without LoRA: gemma3 from 0.6 on, "
        "qwen3 and gpt-oss by 0.12, qwen3moe and deepseek2 by 0.15",
    ),
    Generation((0, 30, 0), creates=True, newer=False, runs="every GGUF base"),
    Generation((0, 34, 1), creates=False, newer=False, runs="every GGUF base"),
    Generation(
        (0, 40, 0),
        creates=False,
        newer=True,
        runs="GGUF bases, except those in Ollama's own form until it has converted them: gemma3, gpt-oss and "
        "qwen3-vl of its library, some of Llama 3",
    ),
)
"""All generations, the oldest first, after Ollama's release notes and source; docs/delivery.md says what was
tested."""

LLAMA_SERVER_FROM = GENERATIONS[2].first
"""The first release that runs every model in llama-server, which supports LoRA."""

NO_TRANSLATION_FROM = GENERATIONS[4].first
"""The first release that does not translate a base in Ollama's own form for a model with an adapter."""


def parse_version(text: str) -> Version | None:
    """Return the numbers of a version, or None for ``0.0.0``, which every build from source reports."""
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text)
    numbers = (int(match[1]), int(match[2]), int(match[3])) if match else (0, 0, 0)
    return numbers if numbers > (0, 0, 0) else None


def generation_of(text: str) -> Generation | None:
    """Return the generation of a version, or None if it is unknown or older than GGUF adapters in Ollama."""
    version = parse_version(text)
    if version is None:
        return None
    return next((each for each in reversed(GENERATIONS) if version >= each.first), None)


ABORTING = frozenset({"glm4", "glm4moe", "jais2"})
"""Architectures on which the llama.cpp of Ollama 0.33 (b10488) aborts when certain tensors have LoRA.

It sets a precision on the result of a multiplication, but with LoRA that result is a sum, and the call fails
(``ggml_mul_mat_set_prec`` in ``build_attn`` and ``build_ffn``). Later releases do not do this. This was
tested with the llama-server of Ollama 0.33.
"""

ABORTED = (".attn_output.", ".ffn_down.", ".ffn_down_shexp.")
"""Parts of the names of the tensors on which llama.cpp then aborts."""


def known_crash(text: str, arch: str, tensors: Collection[str]) -> str:
    """Return why the runner of an Ollama crashes on an adapter, or an empty string if no crash is known.

    Args:
        text: the version of Ollama; an unknown version is treated as one that crashes.
        arch: the architecture, as llama.cpp names it.
        tensors: the names of the adapter's tensors.
    """
    version = parse_version(text)
    new = version is not None and version >= NO_TRANSLATION_FROM
    old = version is not None and version < LLAMA_SERVER_FROM
    if new or old or arch not in ABORTING or not any(part in name for part in ABORTED for name in tensors):
        return ""
    return (
        f"the llama.cpp of Ollama 0.33 aborts on a LoRA on attn_output or ffn_down of {arch}; an adapter "
        "trained without o_proj and down_proj runs"
    )


def unsupported_reason(text: str, arch: str, *, translated: bool) -> str:
    """Return why an Ollama does not run a base with an adapter, or an empty string if it does.

    Args:
        text: the version of Ollama; an unknown version is treated as the latest.
        arch: the architecture, as the header of the base names it.
        translated: whether the base is in Ollama's own form.
    """
    version = parse_version(text)
    since = NEW_ENGINE.get(arch)
    if version is not None and since is not None and since <= version < LLAMA_SERVER_FROM:
        return f"Ollama {text} runs {arch} on an engine without LoRA; Ollama 0.30 and later support it"
    if not translated:
        return ""
    later = version is None or version < NO_TRANSLATION_FROM
    subject = "Ollama from 0.40 on" if later else f"Ollama {text}"
    return (
        f"{subject} does not load it with an adapter, because the base is in Ollama's own form; there, "
        "ollama run BASE once, which converts it, then build again; or --base FILE.gguf in llama.cpp's form"
    )
