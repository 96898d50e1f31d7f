"""Compute the rank and the scale of every adapted weight from the configuration.

No other module does this. The rules are PEFT's: ``LoraLayer.update_layer`` in ``peft/tuners/lora/layer.py``
(alpha / r, or alpha / √r with rsLoRA), ``get_pattern_key`` in ``peft/utils/other.py`` (which key of a pattern
applies to a module), ``SVDLinear`` in ``peft/tuners/adalora/layer.py``, ``LoHaLayer`` and ``LoKrLayer``
(alpha / r), and ``GraloraLayer`` (alpha / (r + hybrid_r)). Methods without an alpha have no scale, or
fold it into their factors.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ollama_pack.lora.peft.methods import METHODS

ADALORA_GUARD = 1e-5
"""AdaLoRA divides by the rank plus this number, to avoid a division by zero if the rank is 0."""


_RANK_PATTERNS = {"r": "rank_pattern", "init_r": "rank_pattern", "n_frequency": "n_frequency_pattern"}
"""The setting that gives single modules another rank, for each setting that holds the rank."""


def trained_rank(module: str, config: Mapping[str, Any]) -> int:
    """Return the rank that the configuration gives a module: that of the pattern, else ``r``."""
    kept = _kept_ranks(module, config)
    if kept is not None:
        return kept
    key = METHODS[_method(config)].rank_key
    return int(_by_pattern(_numeric_patterns(config.get(_RANK_PATTERNS.get(key, ""))), module, config[key]))


def pair_alpha(module: str, config: Mapping[str, Any], rank: int) -> float:
    """Return the alpha for which alpha / rank is PEFT's scale of B·A.

    Args:
        module: the name of the module in the trained model.
        config: the checked adapter_config.json.
        rank: the inner dimension of B·A as it will be written. A fold may have made it larger than trained.
    """
    alpha, divisor = _peft_scale(module, config)
    return alpha if divisor == rank else alpha * rank / divisor


def pattern_warnings(modules: Sequence[str], config: Mapping[str, Any]) -> Iterator[str]:
    """Yield a warning for each pattern of which two keys with different values match one module.

    PEFT takes the first key that matches, and writes the keys of a pattern in another order than they had in
    training, so that the file may give another value than the one that was trained.
    """
    for name in ("rank_pattern", "alpha_pattern"):
        patterns = _numeric_patterns(config.get(name))
        if len(set(patterns.values())) < 2:
            continue
        for module in modules:
            matching = [key for key in patterns if _matches(key, module)]
            if len({patterns[key] for key in matching}) > 1:
                values = ", ".join(f"{key!r} = {patterns[key]:g}" for key in matching)
                yield (
                    f"several keys of {name} match {module}: {values}. The first one is used, as by "
                    "PEFT, but PEFT sorts the keys when it saves: compare with the settings of the training"
                )
                break


def _matches(pattern: str, module: str) -> bool:
    """Return whether a key matches a module's name, or its end after a dot."""
    return re.match(rf"(.*\.)?({pattern})$", module) is not None


def _peft_scale(module: str, config: Mapping[str, Any]) -> tuple[float, float]:
    """Return the numerator and the denominator of PEFT's scale."""
    method = _method(config)
    key = METHODS[method].alpha_key
    if not key:
        return 1.0, 1.0
    if method == "ADALORA":
        alpha, rank = float(config["lora_alpha"]), float(config["init_r"])
        return (alpha if alpha > 0 else rank), rank + ADALORA_GUARD
    rank = float(trained_rank(module, config))
    if method == "GRALORA":
        return float(config["alpha"]), rank + float(config["hybrid_r"])
    alpha = _by_pattern(_numeric_patterns(config.get("alpha_pattern")), module, config[key])
    return float(alpha), (math.sqrt(rank) if config.get("use_rslora") else rank)


def _by_pattern(patterns: Mapping[str, float], module: str, default: float) -> float:
    """Return the value of the first key that matches the module's name, or its end after a dot."""
    for pattern, value in patterns.items():
        if _matches(pattern, module):
            return value
    return default


def _numeric_patterns(pattern: Any) -> Mapping[str, float]:  # noqa: ANN401 — JSON
    """Return the entries of a pattern that are numbers; AdaLoRA's pattern has lists."""
    if not pattern:
        return {}
    return {key: value for key, value in pattern.items() if isinstance(value, int | float)}


def _kept_ranks(module: str, config: Mapping[str, Any]) -> int | None:
    """Return how many ranks AdaLoRA kept for a module, or None if the configuration does not say.

    AdaLoRA's ``rank_pattern`` has a list of booleans for each module, with True for each kept rank.
    """
    if _method(config) != "ADALORA":
        return None
    for key, kept in (config.get("rank_pattern") or {}).items():
        if key.rpartition(".lora_E")[0].removeprefix("base_model.model.") == module and isinstance(
            kept, list
        ):
            return sum(map(bool, kept))
    return None


def _method(config: Mapping[str, Any]) -> str:
    """Return the ``peft_type`` in capitals."""
    return str(config.get("peft_type")).upper()
