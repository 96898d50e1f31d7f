"""Compute the rank and the scale of every adapted weight from the configuration.

No other module does this. The rules are PEFT's: ``LoraLayer.update_layer`` in ``peft/tuners/lora/layer.py``
(alpha / r, or alpha / √r with rsLoRA), ``get_pattern_key`` in ``peft/utils/other.py`` (which key of a pattern
applies to a module), ``SVDLinear`` in ``peft/tuners/adalora/layer.py``, ``LoHaLayer`` and ``LoKrLayer``
(alpha / r), and ``GraloraLayer`` (alpha / (r + hybrid_r)). Methods without an alpha have no scale, or
fold it into their factors.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ollama_pack.lora.peft.methods import METHODS
from ollama_pack.lora.peft.patterns import Matches

ADALORA_GUARD = 1e-5
"""AdaLoRA divides by the rank plus this number, to avoid a division by zero if the rank is 0."""


_RANK_PATTERNS = {"r": "rank_pattern", "init_r": "rank_pattern", "n_frequency": "n_frequency_pattern"}
"""The setting that gives single modules another rank, for each setting that holds the rank."""


class TrainedScale(NamedTuple):
    """The rank of a module, and PEFT's scale of its B·A as a fraction.

    Attributes:
        rank: the rank that it was trained with.
        alpha: the numerator of the scale.
        divisor: the denominator of the scale.
    """

    rank: int
    alpha: float
    divisor: float

    def alpha_at(self, rank: int) -> float:
        """Return the alpha for which alpha / rank is the scale; a fold may have made the rank larger."""
        return self.alpha if self.divisor == rank else self.alpha * rank / self.divisor


class TrainedScales:
    """The ranks and scales of all modules; those that no pattern matches have the same.

    Args:
        config: the checked adapter_config.json.
        matches: which keys of the patterns match which modules.
    """

    def __init__(self, config: Mapping[str, Any], matches: Matches) -> None:
        self._config, self._matches = config, matches
        self._matched = frozenset[str]().union(*matches.values())
        self._usual = self._computed("")

    def of(self, module: str) -> TrainedScale:
        """Return the rank and the scale of a module, which has its name in the trained model."""
        return self._computed(module) if module in self._matched else self._usual

    def _computed(self, module: str) -> TrainedScale:
        """Return the rank and the scale that the configuration gives a module."""
        config, name = self._config, str(self._config.get("peft_type")).upper()
        method = METHODS[name]
        rank = self._rank(module, method.rank_key)
        if not method.alpha_key:
            return TrainedScale(rank, 1.0, 1.0)
        if name == "ADALORA":
            alpha, first = float(config["lora_alpha"]), float(config["init_r"])
            return TrainedScale(rank, alpha if alpha > 0 else first, first + ADALORA_GUARD)
        if name == "GRALORA":
            return TrainedScale(rank, float(config["alpha"]), float(rank) + float(config["hybrid_r"]))
        found = self._by_pattern("alpha_pattern", module)
        alpha = float(config[method.alpha_key] if found is None else found)
        return TrainedScale(rank, alpha, math.sqrt(rank) if config.get("use_rslora") else float(rank))

    def _rank(self, module: str, key: str) -> int:
        """Return the rank that a pattern gives a module, else that of the setting `key`.

        AdaLoRA's ``rank_pattern`` has a list of booleans for each module, with True for each kept rank.
        """
        rank = self._by_pattern(_RANK_PATTERNS.get(key, ""), module)
        return (
            sum(map(bool, rank))
            if isinstance(rank, list)
            else int(self._config[key] if rank is None else rank)
        )

    def _by_pattern(self, name: str, module: str) -> Any:  # noqa: ANN401
        """Return the value of the first key of a pattern that matches a module, or None."""
        keys = self._matches.get(name, {}).get(module, ())
        return self._config[name][keys[0]] if keys else None


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
                f"several keys of {name} match {module}: {listed}. The first one is used, as in "
                "PEFT, but PEFT sorts the keys when it saves: compare with the settings of the training"
            )
            break
