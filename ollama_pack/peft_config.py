"""CHECK  adapter_config.json: which settings change the numbers, and which of those a file can carry.

Three tables. A key in none of them is unknown: it is refused unless its value is neutral, because
a setting nobody has read may change what the adapter does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ollama_pack.errors import InputError, UnsupportedError, listing

HARMLESS = frozenset(
    {
        "auto_mapping",
        "base_model_name_or_path",
        "corda_config",
        "ensure_weight_tying",
        "eva_config",
        "exclude_modules",
        "fan_in_fan_out",
        "inference_mode",
        "layers_pattern",
        "layers_to_transform",
        "loftq_config",
        "lora_dropout",
        "lora_ga_config",
        "megatron_config",
        "megatron_core",
        "parent_library",
        "peft_type",
        "peft_version",
        "qalora_group_size",
        "revision",
        "runtime_config",
        "target_modules",
        "task_type",
        "unsloth_fixed",
        "velora_config",
    }
)
"""Keys that decide where, how or with what the adapter was trained, not what its weights mean."""

USED = frozenset({"r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern"})
"""Keys that settle the scale; `ollama_pack.peft.rank_and_alpha` reads them."""

REFUSED = {
    "use_dora": "DoRA scales every row of W + ΔW, which A and B cannot express",
    "lora_bias": "B has a bias, and a GGUF LoRA has none",
    "modules_to_save": "whole modules were trained beside the LoRA",
    "trainable_token_indices": "single token embeddings were trained",
    "layer_replication": "the base was stacked from repeated layers",
    "target_parameters": "LoRA on bare parameters (mixture-of-experts weights)",
    "alora_invocation_tokens": "an activated LoRA acts only after its invocation tokens",
    "use_qalora": "QALoRA pools the input of A",
    "use_bdlora": "BD-LoRA has block-diagonal factors",
    "arrow_config": "Arrow routes between several adapters",
    "kasa_config": "KaSA alters the base weights",
    "monteclora_config": "MonteCLoRA samples its weights",
}
"""Keys that change the meaning of the weights in a way a GGUF LoRA cannot carry, or not yet."""

BASE_ALTERING_INITS = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""``init_lora_weights`` that subtract the start of A and B from the base, by prefix."""

SMALLEST, LARGEST = 1e-9, 1e9
"""Bounds of a rank or an alpha: no training comes near them, and their products stay in float32."""


def check_config(config: Mapping[str, Any], path: Path) -> None:
    """Require a configuration that A, B and one scale per weight express exactly.

    Raises:
        InputError: a setting has a value of the wrong kind.
        UnsupportedError: other methods than LoRA, or settings that change what A and B mean.
    """
    method = config.get("peft_type")
    if method is None:
        raise InputError(
            "peft_type is missing: this is not an adapter configuration.", where=f"{path}: peft_type"
        )
    if str(method).upper() != "LORA":
        raise UnsupportedError(
            f"The adapter is {method}, not LORA: its weights are not two factors per linear weight.",
            where=f"{path}: peft_type",
            hint="merge it into its base with PEFT's merge_and_unload, then convert the merged model",
        )
    problems = [f"{key}: {REFUSED[key]}" for key in REFUSED if not _neutral(config.get(key))]
    bias = config.get("bias", "none")
    if bias != "none":
        problems.append(f"bias = {bias}: trained biases may be in the weights, and a GGUF LoRA has none")
    start = str(config.get("init_lora_weights", True)).lower()
    if start.startswith(BASE_ALTERING_INITS):
        problems.append(
            f"init_lora_weights = {start}: the adapter fits a base that was altered when training began"
        )
    known = HARMLESS | USED | REFUSED.keys() | {"bias", "init_lora_weights"}
    problems += [
        f"{key}: unknown to this version"
        for key, value in config.items()
        if key not in known and not _neutral(value)
    ]
    if problems:
        raise UnsupportedError(
            listing("The configuration asks for more than LoRA on linear weights:", problems),
            where=path,
            hint="train plain LoRA, or merge the adapter into its base with PEFT's merge_and_unload",
        )
    for key in ("rank_pattern", "alpha_pattern"):
        _check_pattern(config.get(key), f"{path}: {key}")


def positive_number(config: Mapping[str, Any], key: str, path: Path) -> float:
    """Return a number greater than zero from the configuration, within what a float32 can hold.

    Raises:
        InputError: the key is missing, or its value is not such a number.
    """
    value = config.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not SMALLEST <= value <= LARGEST:
        found = "missing" if key not in config else f"{value!r:.40}"
        raise InputError(
            f"{key} is {found}; it must be a number above 0 ({SMALLEST:g} to {LARGEST:g}).",
            where=f"{path}: {key}",
        )
    return float(value)


def _check_pattern(pattern: Any, where: str) -> None:  # noqa: ANN401 — unchecked JSON
    import re

    if _neutral(pattern):
        return
    if not isinstance(pattern, Mapping):
        raise InputError("The pattern is not an object of name → number.", where=where)
    for key in pattern:
        positive_number(pattern, key, Path(where))
        try:
            re.compile(rf"(.*\.)?({key})$")
        except (re.error, OverflowError, RecursionError) as error:
            raise InputError(f"{key!r} is not a regular expression ({error}).", where=where) from error


def _neutral(value: Any) -> bool:  # noqa: ANN401 — unchecked JSON
    return value is None or value is False or value in ("", [], {})
