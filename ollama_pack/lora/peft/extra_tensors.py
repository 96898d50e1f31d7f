"""Classify the tensors of an adapter that are not factors of an adapted weight.

The first row of `KINDS` whose pattern is found in the name decides. If the rule of a row is None, the tensor
is known and dropped on purpose, because leaving it out changes nothing. `dropped_as` names
the tensors that are dropped with a note, because somebody may look for them.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from ollama_pack.lora.peft.keys import BASE_LAYER, TensorKey, is_tower

EMBEDDING_MODULES = re.compile(r"(^|\.)(embed_tokens|lm_head|wte|word_embeddings|embed_in|embed_out|output)$")
NORMS = re.compile(r"(^|\.)([^.]*norm[0-9]*|ln_[^.]*)$", re.I)
NORM_COPY = "ln_tuning_layers"
"""The segment under which LN tuning holds the trained copy of a norm."""

SAVED, ORIGINAL = "modules_to_save", "original_module"
"""The segments under which PEFT holds a trained copy of a module, and the module itself."""

ADDED_BY_TRAINERS = re.compile(rf"lora_|trainable_tokens|token_adapter|\.{SAVED}\.|\.m$")
"""What a trainer adds to a base, so that it is no frozen copy of it."""

KINDS: tuple[tuple[re.Pattern[str], str | None], ...] = (
    (re.compile(r"lora_magnitude_vector|(^|\.)lora_m(\.|$)|\.m$"), "dora"),
    (re.compile(r"trainable_tokens|token_adapter"), "trained-tokens"),
    (re.compile(r"\.ranknum(\.|$)"), None),
    (re.compile(r"lora_[AB](\.[^.]+)?\.bias$"), "lora-bias"),
    (re.compile(r"\.bias$"), "bias"),
    (re.compile(r"(^|\.)lora_[^.]+(\.[^.]+)?(\.weight)?$"), "unknown-tensor"),
)
"""Patterns of tensor names, each with the code of the rule that the tensor violates."""

VALUE_HEAD_TENSOR = re.compile(r"(^|\.)(v_head|value_head)\.")
FREQUENCIES = re.compile(r"\.(inv_freq|original_inv_freq)$")
COPIES, HEADS, ROTARY = (
    "frozen copies of the base's weights",
    "tensors of a value head, which generates no text",
    "rotary frequencies, which the base has itself",
)
"""What is left out, with a note."""


def dropped_as(key: TensorKey, modules: Collection[str], config: Mapping[str, Any], *, whole: bool) -> str:
    """Return what the note calls a tensor that is left out, or "" if leaving it out would change the model.

    PEFT freezes the base, keeps the weight that it adapts under ``base_layer``, and what it replaces under
    ``original_module``. A trainer that saves the state of the whole model saves all of them.

    Args:
        key: the parsed name of the tensor.
        modules: the names of the adapted modules.
        config: the parsed adapter_config.json.
        whole: whether the file has the frozen weight of every adapted module, so it is a whole model's state.
    """
    name = f"{key.module}.{key.part}"
    if VALUE_HEAD_TENSOR.search(name):
        return HEADS
    if FREQUENCIES.search(name):
        return ROTARY
    if key.depth and key.module.endswith(".token_adapter"):
        return COPIES
    if ADDED_BY_TRAINERS.search(name) or (key.part == "bias" and config.get("bias") not in ("none", None)):
        return ""
    owner = key.module.partition(f".{BASE_LAYER}")[0]
    below = owner != key.module or key.depth
    if f".{ORIGINAL}." in name or (below and (owner in modules or f"{owner}.{key.part}" in modules)):
        return COPIES
    return COPIES if whole and not _is_saved(key.module, config) else ""


def _is_saved(module: str, config: Mapping[str, Any]) -> bool:
    """Return whether ``modules_to_save`` names a module, which is then trained as a whole."""
    saved = config.get(SAVED)
    names = [name for name in saved if isinstance(name, str)] if isinstance(saved, list) else []
    return any(f".{module}.".endswith(f".{name}.") for name in names)


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
    key = key._replace(module=key.module.partition(f".{SAVED}")[0].removesuffix(f".{NORM_COPY}"))
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
    return "whole-embedding" if _is_saved(key.module, config) else "resized"
