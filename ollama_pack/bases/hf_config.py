"""READ  config.json of a model from Hugging Face → Base. No weight is read.

How the weights are stored does not matter here: a LoRA of a base in 4 bits (bitsandbytes, GPTQ, AWQ) is a
LoRA of the base all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_pack.archs import find_class
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.files import read_json_object
from ollama_pack.parts import Base

FILE = "config.json"

_NAMES = {
    "blocks": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "heads": ("num_attention_heads", "n_head", "n_heads"),
    "hidden": ("hidden_size", "n_embd", "d_model"),
}
"""Number of a base → the keys it may have."""


@dataclass(frozen=True, slots=True)
class HfConfig:
    """A config.json, wherever it lies.

    Attributes:
        values: as parsed.
        where: the file, or its address.
        origin: the same in words.
    """

    values: Mapping[str, Any]
    where: str
    origin: str

    def base(self) -> Base:
        """Return what it says of a base.

        Raises:
            InputError: it lacks a number.
            UnsupportedError: its class has no row in the table of architectures.
        """
        classes = self.values.get("architectures") or []
        names = classes if isinstance(classes, list) else []
        name = next((name for name in names if isinstance(name, str)), "")
        arch = find_class(name)
        if arch is None:
            raise UnsupportedError(
                f"Models of the class {name or 'none'} cannot be converted yet.",
                where=f"{self.where}: architectures",
                hint="ollama-pack archs  lists those that can; CONTRIBUTING.md shows how to add one",
            )
        text, where = self._text(), self.where
        numbers = {key: _number(text, names, where) for key, names in _NAMES.items()}
        return Base(
            arch=arch.name,
            blocks=numbers["blocks"],
            heads=numbers["heads"],
            hidden=numbers["hidden"],
            kv_heads=_kv_heads(text, arch.name, where, numbers["heads"]),
            head_dim=_number(text, ("head_dim",), where, numbers["hidden"] // max(numbers["heads"], 1)),
            feed_forward=_number(text, ("intermediate_size", "n_inner", "ffn_hidden_size"), where, 0),
            experts=_number(text, ("num_local_experts", "num_experts", "n_routed_experts"), where, 0),
            expert_feed_forward=_number(text, ("moe_intermediate_size", "intermediate_size"), where, 0),
            vocab=_number(text, ("vocab_size",), where, 0),
            tied=_tied(text, arch.tied, where),
            origin=self.origin,
        )

    def positions(self) -> tuple[float, int]:
        """Return the base of the rotary embeddings and the longest context, 0 where it does not say.

        Raises:
            InputError: a number is none.
        """
        text = self._text()
        settings = text.get("rope_parameters")
        rope = text.get("rope_theta", settings.get("rope_theta") if isinstance(settings, Mapping) else None)
        known = float(rope) if isinstance(rope, int | float) and rope > 1 else 0.0
        return known, _number(text, ("max_position_embeddings", "n_positions"), self.where, 0)

    def _text(self) -> Mapping[str, Any]:
        """Return the numbers of the text model, which may stand in one of its own."""
        nested = self.values.get("text_config")
        return {**self.values, **nested} if isinstance(nested, Mapping) else self.values


def read_config(directory: Path) -> HfConfig:
    """Return config.json in a directory.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = directory / FILE
    return HfConfig(read_json_object(path), str(path), f"{FILE} in {directory.name or directory}")


def _kv_heads(text: Mapping[str, Any], arch: str, where: str, heads: int) -> int:
    """Return the number of key-value heads; the first Falcons have one, whatever else is said."""
    if arch == "falcon" and not text.get("new_decoder_architecture"):
        return 1 if text.get("multi_query", True) else heads
    return _number(
        text, ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num"), where, heads
    )


def _tied(config: Mapping[str, Any], default: bool, where: str) -> bool:
    """Return whether head and embeddings are one weight."""
    value = config.get("tie_word_embeddings")
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InputError(
            f"The value is {value!r:.40}, neither true nor false.", where=f"{where}: tie_word_embeddings"
        )
    return value


def _number(config: Mapping[str, Any], names: tuple[str, ...], where: str, default: int | None = None) -> int:
    """Return the first whole number above 0 under one of the names."""
    for name in names:
        value = config.get(name)
        if value is None:
            continue
        if type(value) is not int or not 0 < value < 2**40:
            raise InputError(f"The value is {value!r:.40}, not a whole number.", where=f"{where}: {name}")
        return value
    if default is None:
        raise InputError("The key is missing.", where=f"{where}: {names[0]}")
    return default
