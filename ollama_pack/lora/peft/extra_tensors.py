"""DECIDE  what a tensor is that is no factor of an adapted weight.

The first row whose pattern is found in the name decides. None as the rule means: known, and dropped on
purpose, because leaving it out changes nothing.
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
"""Pattern → rule."""


def classify_extra_tensor(
    name: str, spelled: TensorKey, modules: Collection[str], config: Mapping[str, Any]
) -> str | None:
    """Return the rule for a tensor that is no factor, None where it is dropped on purpose.

    Args:
        name: as it stands in the file.
        spelled: what it says.
        modules: the modules that are adapted.
        config: adapter_config.json.
    """
    for pattern, rule in KINDS:
        if pattern.search(name):
            return rule
    if EMBEDDING_MODULES.search(spelled.module) and spelled.part == "weight":
        return _embedding(spelled, modules, config)
    if is_tower(spelled.module):
        return "vision"
    if spelled.part != "weight":
        return "unknown-tensor"
    return "norm" if NORMS.search(spelled.module) else "whole-weight"


def _embedding(spelled: TensorKey, modules: Collection[str], config: Mapping[str, Any]) -> str | None:
    """Return the rule for a whole head or embedding.

    PEFT saves them where they were trained, where the vocabulary was resized, and, as a frozen copy
    below `base_layer`, where LoRA is on them. The copy's size is seen in the LoRA beside it.
    """
    if spelled.depth and spelled.module in modules:
        return None
    saved = config.get("modules_to_save")
    names = [name for name in saved if isinstance(name, str)] if isinstance(saved, list) else []
    trained = any(f".{spelled.module}".endswith(f".{name}") for name in names)
    return "whole-embedding" if trained else "resized"
