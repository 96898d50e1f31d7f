"""Whether llama.cpp puts the begin of text in front of a prompt, from the header of a GGUF model."""

from collections.abc import Mapping
from typing import Any

_WITH = frozenset(
    (
        *("llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"),
        *("jina-v5-nano", "tekken", "chameleon"),
    )
)
_WITHOUT = frozenset(
    (
        *(
            "",
            "default",
            "gpt-2",
            "phi-2",
            "qwen2",
            "qwen35",
            "smollm",
            "refact",
            "starcoder",
            "olmo",
            "dbrx",
        ),
        *("falcon", "mpt", "stablelm2", "command-r", "gpt-4o", "llama4", "glm4", "chatglm-bpe", "jais-2"),
        *("deepseek-llm", "deepseek-coder", "deepseek-v3", "deepseek-r1-qwen", "exaone", "exaone4", "jais"),
        *("hunyuan", "seed-coder", "bailingmoe", "kimi-k2", "minimax-m2", "smaug-bpe", "megrez", "tiny_aya"),
    )
)
_ALWAYS = "gemma4"
"""A kind of tokenizer that adds it whatever the file says."""

_BY_MODEL = {"llama": True, "bert": True, "t5": False, "rwkv": False}


def adds_begin_of_text(metadata: Mapping[str, Any]) -> bool | None:
    """Return whether the tokenizer of a GGUF adds the begin of text, or None if its kind is not known here.

    Args:
        metadata: the keys and values of the header.

    Example:
        >>> adds_begin_of_text({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "llama-bpe"})
        True
    """
    model, pre = (metadata.get(f"tokenizer.ggml.{key}") or "" for key in ("model", "pre"))
    if _ALWAYS in (model, pre):
        return True
    said = metadata.get("tokenizer.ggml.add_bos_token")
    if isinstance(said, bool):
        return said
    if model == "gpt2":
        return True if pre in _WITH else False if pre in _WITHOUT else None
    return _BY_MODEL.get(model)
