"""Reads a base from the config.json of a Hugging Face model; no weight is read.

The storage type of the weights does not matter: a LoRA that was trained on a 4-bit copy (bitsandbytes, GPTQ,
AWQ) applies to the base itself.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ollama_pack.arch.hparams import HParams, StateSpace
from ollama_pack.arch.multipliers import MULTIPLIERS
from ollama_pack.arch.spec import Arch
from ollama_pack.arch.table import arch_of_hf_class, require_arch
from ollama_pack.base.model import BaseModel, Positions
from ollama_pack.disk.files import read_json_object
from ollama_pack.errors import InputError, UnsupportedError

CONFIG_JSON = "config.json"
_NAMES = {
    "blocks": ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_transformer_layers"),
    "heads": ("num_attention_heads", "n_head", "n_heads", "num_query_heads"),
    "hidden": ("hidden_size", "n_embd", "d_model", "model_dim"),
}
"""Field of `HParams` → the keys of config.json that may have it."""

LARGEST_SIZE = 2**40
"""An upper bound for each size; a larger number is an error in config.json."""

PLAMO_SHARES = 8
"""The query heads per key head of PLaMo 13B, whose num_key_value_heads has another meaning."""

_IN_PARTS = {"kv_n_heads", "moe_num_experts", "ffn_hidden_size"}
_STATES = {"mamba", "linear_attention"}
_EXPERT_COUNT_KEYS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_FEED_FORWARD = ("intermediate_size_mlp", "intermediate_size", "n_inner", "ffn_hidden_size")
_KV_HEADS = (
    *("num_key_value_heads", "num_kv_heads", "n_head_kv", "kv_n_heads", "multi_query_group_num"),
    *("num_query_groups", "num_key_value_heads_per_layer"),
)

_EPSILON_SETTINGS = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps")

_SSM = {
    "groups": ("linear_num_key_heads", "mamba_n_groups", "n_groups"),
    "heads": ("linear_num_value_heads", "mamba_n_heads", "mamba_num_heads", "num_heads"),
    "state": ("linear_key_head_dim", "mamba_d_state", "ssm_state_size", "state_size"),
    "inner": ("mamba_d_ssm",),
    "each": ("linear_value_head_dim", "mamba_d_head", "mamba_head_dim", "head_dim"),
}
"""Size of a state space layer → the keys of config.json that may have it; `each` is the size of one head."""


class HfConfig(NamedTuple):
    """A parsed config.json.

    Attributes:
        values: the parsed object.
        where: the path or the URL of the file, for error messages.
        origin: the place of the file in words, for the user.
    """

    values: Mapping[str, Any]
    where: str
    origin: str

    def base(self) -> BaseModel:
        """Return the base that this config.json describes.

        Raises:
            InputError: a number is missing or is not a number.
            UnsupportedError: the class of the model has no row in the table of architectures.
        """
        arch, text, where = self._arch(), self._text(), self.where
        if arch.alternatives:
            arch, text = _resolve_arch(arch, text)
        kinds = text.get("layers_block_type")
        defaults = {"blocks": len(kinds)} if isinstance(kinds, list) else {}
        defaults |= {} if arch.has_heads else {"heads": 0}
        numbers = {key: _whole_number(text, names, where, defaults.get(key)) for key, names in _NAMES.items()}
        kv_heads = _kv_heads(text, arch.name, where, numbers["heads"])
        return BaseModel(
            hparams=HParams(
                arch=arch.name,
                blocks=numbers["blocks"],
                heads=numbers["heads"],
                hidden=numbers["hidden"],
                kv_heads=kv_heads,
                head_dim=_head_dim(text, where, numbers),
                feed_forward=_whole_number(text, _FEED_FORWARD, where, 0),
                experts=_whole_number(text, _EXPERT_COUNT_KEYS, where, 0),
                expert_feed_forward=_whole_number(
                    text, ("moe_intermediate_size", "moe_ffn_hidden_size", "intermediate_size"), where, 0
                ),
                vocab=_whole_number(text, ("vocab_size",), where, 0),
                tied=_tied(text, arch.tied, where),
                heads_per_layer=_heads_per_layer(text, numbers["heads"], kv_heads),
                ssm=_state_space(text, () if arch.has_heads else ("intermediate_size",)),
                multipliers=_multipliers(text, where) if any(weight.scale for weight in arch.weights) else {},
            ),
            origin=self.origin,
        )

    def positions(self) -> Positions:
        """Return the base frequency of the rotary embeddings, the context length and the norms' epsilon.

        Raises:
            InputError: the context length is not a whole number.
        """
        text = self._text()
        settings = text.get("rope_parameters")
        rope = text.get("rope_theta", settings.get("rope_theta") if isinstance(settings, Mapping) else None)
        epsilon = next((text[name] for name in _EPSILON_SETTINGS if _is_factor(text.get(name))), 0.0)
        return Positions(
            rope_base=float(rope) if isinstance(rope, int | float) and rope > 1 else 0.0,
            context=_whole_number(text, ("max_position_embeddings", "n_positions"), self.where, 0),
            norm_epsilon=float(epsilon) if 0 < epsilon < 1 else 0.0,
        )

    def _arch(self) -> Arch:
        """Return the architecture of the model's class.

        Raises:
            UnsupportedError: there is none, or only the GGUF file tells the heads of its layers.
        """
        classes = self.values.get("architectures") or []
        names = classes if isinstance(classes, list) else []
        name = next((name for name in names if isinstance(name, str)), "")
        arch = arch_of_hf_class(name)
        if arch is None:
            raise UnsupportedError(
                f"Models of the class {name or 'none'} cannot be converted yet.",
                where=f"{self.where}: architectures",
                hint="ollama-pack archs  lists those that can; CONTRIBUTING.md shows how to add one",
                code="architecture-unknown",
            )
        if "block_configs" in self.values:
            raise UnsupportedError(
                "The number of heads of each block is not in config.json; the GGUF file has it.",
                where=f"{self.where}: block_configs",
                hint="--base FILE.gguf",
            )
        return arch

    def _text(self) -> Mapping[str, Any]:
        """Return the keys of the text model, merged from the parts of config.json that may hold them."""
        parts = [self.values.get(name) for name in ("attn_config", "ffn_config")]
        nested = self.values.get("text_config")
        sizes = {
            name: part[name]
            for part in parts
            if isinstance(part, Mapping)
            for name in _IN_PARTS & part.keys()
        }
        return {**sizes, **self.values, **(nested if isinstance(nested, Mapping) else {})}


def read_config(directory: Path) -> HfConfig:
    """Return the config.json of a directory.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = directory / CONFIG_JSON
    return HfConfig(read_json_object(path), str(path), f"{CONFIG_JSON} in {directory.name or directory}")


def _kv_heads(text: Mapping[str, Any], arch: str, where: str, heads: int) -> int:
    """Return the number of key-value heads; some architectures do not give it as a number."""
    if arch == "plamo":
        return heads // _whole_number(text, ("n_shared_head",), where, PLAMO_SHARES)
    if arch in ("refact", "starcoder") or (arch == "falcon" and not text.get("new_decoder_architecture")):
        return 1 if text.get("multi_query", True) else heads
    return _whole_number(text, _KV_HEADS, where, heads)


def _head_dim(text: Mapping[str, Any], where: str, numbers: Mapping[str, int]) -> int:
    """Return the size of an attention head.

    Without attention, return the hidden size: Mamba's ``head_dim`` is that of its states, not of attention.
    """
    if not numbers["heads"]:
        return numbers["hidden"]
    return _whole_number(text, ("head_dim",), where, numbers["hidden"] // numbers["heads"])


def _resolve_arch(arch: Arch, text: Mapping[str, Any]) -> tuple[Arch, Mapping[str, Any]]:
    """Return the architecture of a class that stands for several, and the keys that apply to it.

    A Nemotron-H has experts only if one of its layers is a mixture, but transformers writes their number in
    any case. A Granite 4 without a state space layer is a ``granite`` or ``granitemoe`` for llama.cpp.
    Source: ``NemotronHModel`` and ``GraniteHybridModel`` in llama.cpp's conversion.
    """
    layers = text.get("layer_types")
    stateless = isinstance(layers, list) and not _STATES & set(map(str, layers))
    if arch.name == "granitehybrid" and stateless:
        return require_arch("granitemoe" if text.get("num_experts_per_tok") else "granite"), text
    if arch.name != "nemotron_h":
        return arch, text
    pattern, kinds = text.get("hybrid_override_pattern"), text.get("layers_block_type")
    if (isinstance(pattern, str) and "E" in pattern) or (isinstance(kinds, list) and "moe" in kinds):
        return require_arch("nemotron_h_moe"), text
    return arch, {**text, "n_routed_experts": 0}


def _state_space(text: Mapping[str, Any], inner: tuple[str, ...]) -> StateSpace:
    """Return the sizes of the state space layers; each is 0 if config.json does not have it as a number.

    Args:
        text: the keys of the text model.
        inner: further keys that may have the inner size.
    """
    keys = {**_SSM, "inner": (*_SSM["inner"], *inner)}
    values = {
        size: next((text[name] for name in names if _is_size(text.get(name))), 0)
        for size, names in keys.items()
    }
    each = values.pop("each")
    return StateSpace(**{**values, "inner": values["inner"] or values["heads"] * each})


def _is_size(value: object) -> bool:
    """Return whether a value can be a size: a whole number that is not negative."""
    return type(value) is int and 0 <= value < LARGEST_SIZE


def _multipliers(text: Mapping[str, Any], where: str) -> dict[str, tuple[float, ...]]:
    """Return the factors that llama.cpp's converter multiplies the weights of the base with.

    See "What config.json alone knows is asked for, not guessed" in docs/decisions.md.

    Raises:
        InputError: a factor is missing or is not a number.
    """
    multipliers = {}
    for name, count in MULTIPLIERS.items():
        value: Any = text.get(name)
        numbers = value if isinstance(value, list) else [value]
        if len(numbers) != count or not all(map(_is_factor, numbers)):
            raise InputError(f"The value is {value!r:.60}, not {count} numbers.", where=f"{where}: {name}")
        multipliers[name] = tuple(float(number) for number in numbers)
    return multipliers


def _is_factor(value: object) -> bool:
    """Return whether a value can be a factor: a finite number of a sensible size."""
    return type(value) in (int, float) and abs(value) < LARGEST_SIZE  # type: ignore[arg-type]


def _tied(config: Mapping[str, Any], default: bool, where: str) -> bool:
    """Return whether the output layer and the embeddings are one weight."""
    value = config.get("tie_word_embeddings")
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InputError(
            f"The value is {value!r:.40}, neither true nor false.", where=f"{where}: tie_word_embeddings"
        )
    return value


def _heads_per_layer(text: Mapping[str, Any], heads: int, kv_heads: int) -> tuple[tuple[int, int], ...]:
    """Return the heads and key-value heads of each layer, or an empty tuple unless one of them is a list."""
    values = [
        next((text[name] for name in names if text.get(name) is not None), None)
        for names in (_NAMES["heads"], _KV_HEADS)
    ]
    lists = [each if isinstance(each, list) else None for each in values]
    blocks = max((len(each) for each in lists if each is not None), default=0)
    both = [each or [number] * blocks for each, number in zip(lists, (heads, kv_heads), strict=True)]
    return tuple(zip(*both, strict=False))


def _whole_number(
    config: Mapping[str, Any], names: tuple[str, ...], where: str, default: int | None = None
) -> int:
    """Return the value of the first key that is present; of a list with a number per layer, the largest.

    Raises:
        InputError: the value is not a whole number above 0, or no key is there and there is no default.
    """
    for name in names:
        value = config.get(name)
        if value is None:
            continue
        numbers = value if isinstance(value, list) and value else [value]
        if default == 0 and all(number == 0 for number in numbers):
            return 0
        if not all(type(number) is int and 0 < number < LARGEST_SIZE for number in numbers):
            raise InputError(f"The value is {value!r:.40}, not a whole number.", where=f"{where}: {name}")
        return int(max(numbers))
    if default is None:
        raise InputError("The key is missing.", where=f"{where}: {names[0]}")
    return default
