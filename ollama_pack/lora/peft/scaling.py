"""Compute the rank and the scale of every adapted weight from the configuration.

No other module does this. The rules are PEFT's: ``LoraLayer.update_layer`` in ``peft/tuners/lora/layer.py``
(alpha / r, or alpha / √r with rsLoRA), ``get_pattern_key`` in ``peft/utils/other.py`` (which key of a pattern
applies to a module), ``SVDLinear`` in ``peft/tuners/adalora/layer.py``, ``LoHaLayer`` and ``LoKrLayer``
(alpha / r), and ``GraloraLayer`` (alpha / (r + hybrid_r)). Methods without an alpha have no scale, or
fold it into their factors.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ollama_pack.lora.peft.methods import METHODS
from ollama_pack.lora.peft.patterns import Matches

ADALORA_GUARD = 1e-5
"""AdaLoRA divides by the rank plus this number, to avoid a division by zero if the rank is 0."""


_RANK_PATTERNS = {"r": "rank_pattern", "init_r": "rank_pattern", "n_frequency": "n_frequency_pattern"}
"""The setting that gives single modules another rank, for each setting that holds the rank."""


def trained_rank(module: str, config: Mapping[str, Any], matches: Matches) -> int:
    """Return the rank that the configuration gives a module: that of the pattern, else ``r``.

    AdaLoRA's ``rank_pattern`` has a list of booleans for each module, with True for each kept rank.
    """
    key = METHODS[_method(config)].rank_key
    rank = _by_pattern(_RANK_PATTERNS.get(key, ""), module, config, matches)
    return sum(map(bool, rank)) if isinstance(rank, list) else int(config[key] if rank is None else rank)


def pair_alpha(module: str, config: Mapping[str, Any], rank: int, matches: Matches) -> float:
    """Return the alpha for which alpha / rank is PEFT's scale of B·A.

    Args:
        module: the name of the module in the trained model.
        config: the checked adapter_config.json.
        rank: the inner dimension of B·A as it will be written. A fold may have made it larger than trained.
        matches: which keys of the patterns match which modules.
    """
    alpha, divisor = _peft_scale(module, config, matches)
    return alpha if divisor == rank else alpha * rank / divisor


def pattern_warnings(config: Mapping[str, Any], matches: Matches) -> Iterator[str]:
    """Yield a warning for each pattern of which two keys with different values match one module.

    PEFT takes the first key that matches, and writes the keys of a pattern in another order than they had in
    training, so that the file may give another value than the one that was trained.
    """
    for name in ("rank_pattern", "alpha_pattern"):
        for module, keys in matches.get(name, {}).items():
            values = {key: config[name][key] for key in keys}
            if len(values) < 2 or len(set(map(str, values.values()))) < 2:
                continue
            listed = ", ".join(f"{key!r} = {value:g}" for key, value in values.items())
            yield (
                f"several keys of {name} match {module}: {listed}. The first one is used, as by "
                "PEFT, but PEFT sorts the keys when it saves: compare with the settings of the training"
            )
            break


def _peft_scale(module: str, config: Mapping[str, Any], matches: Matches) -> tuple[float, float]:
    """Return the numerator and the denominator of PEFT's scale."""
    method = _method(config)
    key = METHODS[method].alpha_key
    if not key:
        return 1.0, 1.0
    if method == "ADALORA":
        alpha, rank = float(config["lora_alpha"]), float(config["init_r"])
        return (alpha if alpha > 0 else rank), rank + ADALORA_GUARD
    rank = float(trained_rank(module, config, matches))
    if method == "GRALORA":
        return float(config["alpha"]), rank + float(config["hybrid_r"])
    found = _by_pattern("alpha_pattern", module, config, matches)
    return float(config[key] if found is None else found), (
        math.sqrt(rank) if config.get("use_rslora") else rank
    )


def _by_pattern(name: str, module: str, config: Mapping[str, Any], matches: Matches) -> Any:  # noqa: ANN401
    """Return the value of the first key of a pattern that matches a module, or None."""
    keys = matches.get(name, {}).get(module, ())
    return config[name][keys[0]] if keys else None


def _method(config: Mapping[str, Any]) -> str:
    """Return the ``peft_type`` in capitals."""
    return str(config.get("peft_type")).upper()
