"""The generations of Ollama: which takes adapters how, and which models it then runs.

One table for whoever asks: the way that is chosen, the warnings, `doctor`, and the page in the documents.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Generation:
    """Releases that are alike.

    Attributes:
        first: the first release of them.
        creates: whether ``/api/create`` makes models with adapters.
        newer: whether the store has ``manifests-v2``.
        runs: which models with an adapter it runs, in words.
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
"""Architecture → the release by which it ran on an engine that had no LoRA; until 0.30.0."""

GENERATIONS = (
    Generation(
        (0, 3, 7),
        creates=False,
        newer=False,
        runs="every GGUF base; its `/api/create` speaks another language",
    ),
    Generation(
        (0, 5, 5),
        creates=True,
        newer=False,
        runs="GGUF bases, but for architectures that moved to an engine without LoRA: "
        "gemma3 from 0.6 on, qwen3 and gpt-oss by 0.12, qwen3moe and deepseek2 by 0.15",
    ),
    Generation((0, 30, 0), creates=True, newer=False, runs="every GGUF base"),
    Generation((0, 34, 1), creates=False, newer=False, runs="every GGUF base"),
    Generation(
        (0, 40, 0),
        creates=False,
        newer=True,
        runs="GGUF bases, but for those in a form of Ollama's own: gemma3, gpt-oss, qwen3-vl of its library, "
        "some of Llama 3",
    ),
)
"""From old to new. Sources: Ollama's release notes and source; docs/ways.md says what was tried."""

LLAMA_SERVER_FROM, NO_TRANSLATION_FROM = GENERATIONS[2].first, GENERATIONS[4].first
"""The first release that runs models in llama-server, with LoRA for all; and that refuses to translate."""


def parse_version(text: str) -> Version | None:
    """Return the numbers of a release; None for ``0.0.0``, which every build from source says it is."""
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text)
    numbers = (int(match[1]), int(match[2]), int(match[3])) if match else (0, 0, 0)
    return numbers if numbers > (0, 0, 0) else None


def generation_of(text: str) -> Generation | None:
    """Return the generation of a version; None where nobody knows, or before there were GGUF adapters."""
    version = parse_version(text)
    if version is None:
        return None
    return next((each for each in reversed(GENERATIONS) if version >= each.first), None)


ABORTING = frozenset({"glm4", "glm4moe", "jais2"})
ABORTED = (".attn_output.", ".ffn_down.", ".ffn_down_shexp.")
"""Architectures, and weights, of which the llama.cpp of Ollama 0.33 (b10488) aborts when they have LoRA.

It sets a precision on what it takes for the product of the weight, and is the sum with the LoRA; later ones
do not (``ggml_mul_mat_set_prec`` in ``build_attn`` and ``build_ffn``). Tried with its llama-server.
"""


def known_crash(text: str, arch: str, tensors: Collection[str]) -> str:
    """Return why an Ollama's runner ends when it runs an adapter, empty where nothing is known.

    Args:
        text: the version of Ollama; where that is unknown it may be one of those.
        arch: as llama.cpp says it.
        tensors: names of the adapter's tensors.
    """
    version = parse_version(text)
    new = version is not None and version >= NO_TRANSLATION_FROM
    old = version is not None and version < LLAMA_SERVER_FROM
    if new or old or arch not in ABORTING or not any(part in name for part in ABORTED for name in tensors):
        return ""
    return (
        f"the llama.cpp of Ollama 0.33 aborts on LoRA on attn_output and ffn_down of {arch}; an adapter "
        "trained without o_proj and down_proj runs"
    )


def unsupported_reason(text: str, arch: str, *, translated: bool) -> str:
    """Return why an Ollama does not run a base with an adapter, empty where it does.

    Args:
        text: its version; where that is unknown, what is true of the latest counts.
        arch: as the base's header says it.
        translated: whether the base is in a form of Ollama's own.
    """
    version = parse_version(text)
    since = NEW_ENGINE.get(arch)
    if version is not None and since is not None and since <= version < LLAMA_SERVER_FROM:
        return f"Ollama {text} runs {arch} on an engine without LoRA; 0.30 and later have it"
    if not translated:
        return ""
    later = version is None or version < NO_TRANSLATION_FROM
    who = "Ollama from 0.40 on" if later else f"Ollama {text}"
    return (
        f"{who} does not load it with an adapter, because the base is in a form of Ollama's own; "
        "one in llama.cpp's form loads: --base FILE.gguf"
    )
