"""Classify the tensors of an adapter that are not factors of an adapted weight.

The first row of `KINDS` whose pattern is found in the name decides. If the rule of a row is None, the tensor
is known and dropped on purpose, because leaving it out changes nothing.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from ollama_pack.lora.peft.keys import TensorKey, is_tower

EMBEDDING_MODULES = re.compile(r"(^|\.)(embed_tokens|lm_head|wte|word_embeddings|embed_in|embed_out|output)$")
NORMS = re.compile(r"(^|\.)([^.]*norm[0-9]*|ln_[^.]*)$", re.I)
KINDS: tuple[tuple[re.Pattern[str], str | None], ...] = (
    (re.compile(r"lora_magnitude_vector|(^|\.)lora_m(\.|$)|\.m$"), "dora"),
    (re.compile(r"trainable_tokens|token_adapter"), "trained-tokens"),
    (re.compile(r"\.ranknum(\.|$)"), None),
    (re.compile(r"lora_[AB](\.[^.]+)?\.bias$"), "lora-bias"),
    (re.compile(r"\.bias$"), "bias"),
    (re.compile(r"(^|\.)lora_[^.]+(\.[^.]+)?(\.weight)?$"), "unknown-tensor"),
)
"""Patterns of tensor names, each with the code of the rule that the tensor violates."""


def classify_extra_tensor(
    name: str, key: TensorKey, modules: Collection[str], config: Mapping[str, Any]
) -> str | None:
    """Return the code of the rule that a tensor violates, or None if it is dropped on purpose.

    Args:
        name: the name of the tensor in the file.
        key: the parsed name.
        modules: the names of the adapted modules.
        config: the parsed adapter_config.json.
    """
    for pattern, rule in KINDS:
        if pattern.search(name):
            return rule
    if EMBEDDING_MODULES.search(key.module) and key.part == "weight":
        return _embedding_rule(key, modules, config)
    if is_tower(key.module):
        return "vision"
    if key.part != "weight":
        return "unknown-tensor"
    return "norm" if NORMS.search(key.module) else "whole-weight"


def _embedding_rule(key: TensorKey, modules: Collection[str], config: Mapping[str, Any]) -> str | None:
    """Return the code of the rule for a whole head or embedding, or None for a frozen copy.

    PEFT saves a head or embedding if it was trained, if the vocabulary was resized, and, as a frozen copy
    below ``base_layer``, if it has a LoRA (``save_embedding_layers`` in ``peft/utils/save_and_load.py``). The
    copy can be dropped, because the shapes of its LoRA show the size of the vocabulary.
    """
    if key.depth and key.module in modules:
        return None
    saved = config.get("modules_to_save")
    names = [name for name in saved if isinstance(name, str)] if isinstance(saved, list) else []
    trained = any(f".{key.module}".endswith(f".{name}") for name in names)
    return "whole-embedding" if trained else "resized"
