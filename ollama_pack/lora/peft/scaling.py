"""DECIDE  rank and scale of every adapted weight. Nobody else does.

The rules are PEFT's: ``LoraLayer.update_layer`` (alpha / r, and alpha / √r with rsLoRA),
``get_pattern_key`` (which key of a pattern a module takes), ``SVDLinear`` of AdaLoRA, ``LoHaLayer`` and
``LoKrLayer`` (alpha / r), ``VeraLayer`` (no scale at all).
"""

import math
import re
from collections.abc import Mapping
from typing import Any

ADALORA_GUARD = 1e-5
"""AdaLoRA divides by its rank plus this, so that a rank of 0 divides by something."""


def trained_rank(module: str, config: Mapping[str, Any]) -> int:
    """Return the rank the configuration gives a module: ``r``, unless a pattern says otherwise."""
    kept = _kept_ranks(module, config)
    if kept is not None:
        return kept
    default = config["init_r"] if _method(config) == "ADALORA" else config["r"]
    return int(_by_pattern(_numeric_patterns(config.get("rank_pattern")), module, default))


def pair_alpha(module: str, config: Mapping[str, Any], rank: int) -> float:
    """Return the alpha for which alpha / rank is what PEFT multiplies B·A with.

    Args:
        module: its name in the base.
        config: adapter_config.json, checked.
        rank: inner dimension of B·A as it will be written, which a fold may have made larger.
    """
    alpha, divisor = _peft_scale(module, config)
    return alpha if divisor == rank else alpha * rank / divisor


def _peft_scale(module: str, config: Mapping[str, Any]) -> tuple[float, float]:
    """Return numerator and denominator of PEFT's scale."""
    method = _method(config)
    if method == "VERA":
        return 1.0, 1.0
    if method == "ADALORA":
        alpha, rank = float(config["lora_alpha"]), float(config["init_r"])
        return (alpha if alpha > 0 else rank), rank + ADALORA_GUARD
    key = "alpha" if method in ("LOHA", "LOKR") else "lora_alpha"
    rank = float(trained_rank(module, config))
    alpha = _by_pattern(_numeric_patterns(config.get("alpha_pattern")), module, config[key])
    return float(alpha), (math.sqrt(rank) if config.get("use_rslora") else rank)


def _by_pattern(patterns: Mapping[str, float], module: str, default: float) -> float:
    """Return the value of the first key that matches the module's whole name, or its end from a dot on."""
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default


def _numeric_patterns(pattern: Any) -> Mapping[str, float]:  # noqa: ANN401 — JSON
    return {key: value for key, value in (pattern or {}).items() if isinstance(value, int | float)}


def _kept_ranks(module: str, config: Mapping[str, Any]) -> int | None:
    """Return how many of AdaLoRA's ranks a module kept; its pattern lists a true or false for each."""
    if _method(config) != "ADALORA":
        return None
    for key, kept in (config.get("rank_pattern") or {}).items():
        if key.rpartition(".lora_E")[0].removeprefix("base_model.model.") == module and isinstance(
            kept, list
        ):
            return sum(map(bool, kept))
    return None


def _method(config: Mapping[str, Any]) -> str:
    return str(config.get("peft_type")).upper()
