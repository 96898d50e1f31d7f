"""How trainers and mirrors spell the id of a base: the same weights under other names.

A copy in another number format (GPTQ, AWQ, FP8, MLX, bitsandbytes, GGUF, shards in bfloat16) has the name of
its model and suffixes that say how it is stored. ModelScope writes ``___`` for a dot, and mirrors have
namespaces of their own. `name_key` is equal for all of these.
"""

import re

from ollama_pack.ollama.names import ascii_lower

_COPY = re.compile(
    r"-(?:[2-8]bits?|bf16|fp?16|fp?32|fp8|int[48]|nf4|nvfp4|mxfp4|gptq|awq|gguf|ggml|mlx|hqq|exl[23]|bnb|unsloth"
    r"|dwq(?:-(?:v?\d+))?|aqlm|pv|\dx\d{1,2}|marlin|autoround|auto-round|torchao|no-q-embed"
    r"|sharded|dynamic|quantized|w\d+a\d+|g\d+|gs\d+|i1|imat|hf|i?q\d(?:-[0-9a-z]{1,3}){0,2})$"
)
_SEPARATORS = re.compile(r"[-_.\s]+")
_REVISION = re.compile(r"[0-9a-f]{32,64}|v?\d+|main|master|default|snapshots?")
_KAGGLE_FORMATS = frozenset({"transformers", "pytorch"})
_QUANTISATION = re.compile(r"-(?:i?q\d(?:_[0-9a-z]{1,3}){0,2}|b?fp?16|fp32)$", re.IGNORECASE)
_CHAT_SUFFIX = re.compile(r"-(?:instruct|chat|it)$")

MIRRORS = frozenset(
    {
        *(
            "ai-modelscope",
            "bartowski",
            "casperhansen",
            "hugging-quants",
            "llm-research",
            "lmstudio-community",
        ),
        *("mlx-community", "modelscope", "neuralmagic", "quantfactory", "redhatai", "shakechen", "solidrust"),
        *("thebloke", "unsloth", "ybelkada", "zhipuai", "01ai", "shanghai_ai_laboratory", "openbmb", "iic"),
    }
)
"""Owners on Hugging Face and ModelScope who publish other people's weights under those people's names."""


LOCAL_FOLDERS = frozenset(
    {"models", "model", "checkpoints", "weights", "base", "base_models", "pretrained", "llm", "llms", "hub"}
)
"""Names of folders that look like the owner of an id in a relative path: ``models/Qwen2.5-7B-Instruct``."""


def name_key(text: str) -> str:
    """Return what all spellings of a model's name have in common, for an id without its owner.

    Example:
        >>> name_key("Qwen2___5-7B-Instruct-GPTQ-Int4") == name_key("Qwen2.5-7B-Instruct")
        True
    """
    key = _SEPARATORS.sub("-", ascii_lower(text)).strip("-")
    while (shorter := _COPY.sub("", key)) != key:
        key = shorter
    return key.removeprefix("quantized-")


def is_a_copy(name: str) -> bool:
    """Return whether a name has a suffix that says how a copy is stored."""
    return _COPY.search(_SEPARATORS.sub("-", ascii_lower(name))) is not None


def names_in_path(path: str) -> tuple[tuple[str, str], ...]:
    """Return what may be the owner and the name of a model in a path, the most likely first.

    Revisions at its end are skipped. Kaggle has the family and the variant in parts of their own.
    """
    parts = ["", *filter(None, re.split(r"[/\\]+", path))]
    while len(parts) > 2 and _REVISION.fullmatch(ascii_lower(parts[-1])):
        parts.pop()
    if len(parts) < 2:
        return ()
    names = [(parts[-2], parts[-1])]
    if len(parts) > 3 and ascii_lower(parts[-2]) in _KAGGLE_FORMATS:
        names.append(("", f"{parts[-3]}-{parts[-1]}"))
    return tuple(names)


def plain_tag(tag: str) -> str:
    """Return a tag in lower case without the quantisation at its end."""
    return _QUANTISATION.sub("", ascii_lower(tag))


def without_chat_word(tag: str) -> str:
    """Return a tag without ``-instruct``, ``-chat`` or ``-it`` at its end."""
    return _CHAT_SUFFIX.sub("", tag)
