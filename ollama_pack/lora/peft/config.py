"""Check adapter_config.json for settings that change what the weights mean.

Every key that PEFT writes (``peft/tuners/*/config.py``) is in one of three tables. A key in none of them is
unknown. PEFT ignores what it does not know, so such a key is ignored, with a note, unless a newer PEFT may
know
it or it has meant something elsewhere: docs/decisions.md, "A setting that PEFT ignores is ignored, and told".
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ollama_pack.errors import InputError
from ollama_pack.lora.peft.methods import METHODS, OTHER_METHODS, Method
from ollama_pack.lora.peft.patterns import PATTERNS
from ollama_pack.lora.unsupported import RuleViolations

HARMLESS = frozenset(
    {
        "auto_mapping", "base_model_class", "base_model_name_or_path", "corda_config", "ensure_weight_tying",
        "eva_config", "exclude_modules", "fan_in_fan_out", "inference_mode", "layers_pattern",
        "layers_to_transform", "loftq_config", "lora_dropout", "lora_ga_config", "megatron_config",
        "megatron_core", "nvfp4_merge_aware", "parent_library", "peft_type", "peft_version",
        "revision", "runtime_config", "target_modules", "task_type", "unsloth_fixed",
        "velora_config",
        # The tensors in the file show what these two settings did.
        "bias", "modules_to_save",
        # These describe how the other methods were trained.
        "target_r", "tinit", "tfinal", "deltaT", "beta1", "beta2", "orth_reg_weight", "total_step",
        "vera_dropout", "d_initial", "projection_prng_key", "save_projection", "rank_dropout",
        "rank_dropout_scale", "module_dropout", "use_effective_conv2d", "decompose_both",
        "decompose_factor", "miss_dropout", "vblora_dropout", "gralora_dropout", "tinylora_dropout",
        "init_logits_std", "init_vector_bank_bound", "init_v_bound", "num_vectors", "vector_length",
        "save_only_topk_weights", "delora_lambda", "lambda_pattern", "u", "projection_seed",
        # The tensors in the file show what these two numbers were.
        "mini_r", "gralora_k",
    }
)  # fmt: skip
"""Keys that say where, how or with what the adapter was trained, and do not change what its weights mean."""

USED_KEYS = frozenset(
    {
        "r", "init_r", "lora_alpha", "alpha", "use_rslora", "rank_pattern", "alpha_pattern",
        "init_lora_weights", "target_parameters", "alora_invocation_tokens", "init_weights", "use_bdlora",
        "use_qalora", "qalora_group_size", "topk", "hybrid_r", "weight_tying", "n_frequency",
        "n_frequency_pattern", "scaling", "random_loc_seed",
    }
)  # fmt: skip
"""Keys whose values are used. Those of the scale are read by `ollama_pack.lora.peft.scaling`."""

UNSUPPORTED_KEYS = {
    "use_dora": "dora",
    "lora_bias": "lora-bias",
    "trainable_token_indices": "trained-tokens",
    "layer_replication": "replication",
    "arrow_config": "mixture",
    "kasa_config": "kasa",
    "monteclora_config": "variant",
    "invocation_string": "variant",
}
"""Keys that change what A and B mean, each with the code of its rule."""

HARMLESS_INITS = frozenset(("true", "false", "none", "gaussian", "eva", "orthogonal", "mica"))
"""Values of ``init_lora_weights`` that set the initial A and B, and do not change the base."""

NEWEST_READ_PEFT = (0, 21)
"""The newest PEFT whose settings are all in the tables. A key that a newer one wrote may matter."""

MEANT_ELSEWHERE = frozenset(
    {
        "blc_alpha", "blc_weight", "enable_lora", "expert_num", "lora_nums", "lora_scale", "mora_type",
        "num_experts", "task_num", "use_hydralora", "use_mora", "use_moslora",
    }
)  # fmt: skip
"""Keys that PEFT does not know, and that changed the meaning of A and B in early versions or forks."""

BASE_ALTERING_INITS = ("pissa", "olora", "corda", "lora_ga")
"""Prefixes of the values of ``init_lora_weights`` that subtract the initial B·A from the base."""

QUANTISING_INIT = "loftq"
"""The value of ``init_lora_weights`` that quantises the base anew, so that subtracting no B·A gives it
back."""

SMALLEST_RANK, LARGEST_NUMBER = 1, 1e9
"""The smallest rank, and the largest rank or |alpha|. Real ones are far smaller; products stay in float32."""


def check_method(config: Mapping[str, Any], path: Path) -> Method | str:
    """Return the method of a configuration, or the code of a rule if this version cannot convert the method.

    Raises:
        InputError: the configuration names no method.
    """
    kind = config.get("peft_type")
    if kind is None:
        raise InputError(
            "peft_type is missing, so this is not the configuration of a PEFT adapter.",
            where=f"{path}: peft_type",
            hint='"peft_type": "LORA", if the tensors have the names of PEFT; in JAX and Keras they have '
            "others, so save the model with PEFT",
            code="no-peft-type",
        )
    method = str(kind).upper()
    if method in METHODS:
        return METHODS[method]
    codes = (code for code, methods in OTHER_METHODS.items() if method in methods)
    return next(codes, "unknown-method")


def check_settings(config: Mapping[str, Any], findings: RuleViolations) -> None:
    """Add a violation for each setting that changes what A and B mean, or that is unknown."""
    for key, value in config.items():
        if neutral(value):
            continue
        if key in UNSUPPORTED_KEYS:
            findings.add(UNSUPPORTED_KEYS[key], f"{key} = {_shortened(value)}")
        elif _is_unknown(key) and not _peft_ignores(key, config):
            findings.add("unknown-setting", f"{key} = {_shortened(value)}")
    start = str(config.get("init_lora_weights", True)).lower()
    if start.startswith(BASE_ALTERING_INITS):
        findings.add("altered-base", f"init_lora_weights = {start}")
    elif start.startswith(QUANTISING_INIT):
        findings.add("quantised-base", f"init_lora_weights = {start}")
    elif start not in HARMLESS_INITS:
        findings.add("unknown-setting", f"init_lora_weights = {_shortened(config['init_lora_weights'])}")


def alters_base(config: Mapping[str, Any]) -> bool:
    """Return whether initialising the adapter changed the base, as PiSSA, OLoRA, CorDA and LoRA-GA do."""
    return str(config.get("init_lora_weights", True)).lower().startswith(BASE_ALTERING_INITS)


def ignored_settings(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys that are set and that PEFT itself ignores: notes of an owner, options of a trainer."""
    return tuple(
        key
        for key, value in config.items()
        if _is_unknown(key) and not neutral(value) and _peft_ignores(key, config)
    )


def _is_unknown(key: str) -> bool:
    """Return whether no table has a key."""
    return key not in HARMLESS and key not in USED_KEYS and key not in UNSUPPORTED_KEYS


def _peft_ignores(key: str, config: Mapping[str, Any]) -> bool:
    """Return whether an unknown key meant nothing to the PEFT that saved the adapter."""
    version = re.match(r"(\d+)\.(\d+)", str(config.get("peft_version") or "0.0"))
    read = version is not None and (int(version[1]), int(version[2])) <= NEWEST_READ_PEFT
    return read and key not in MEANT_ELSEWHERE


def with_defaults(config: Mapping[str, Any], method: Method) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return a configuration in which PEFT's default stands for each number that is missing, and notes."""
    missing = {key: value for key, value in method.defaults.items() if key not in config}
    notes = (f"adapter_config.json has no {key}: PEFT's default, {value}" for key, value in missing.items())
    return {**config, **missing}, tuple(notes)


def check_numbers(config: Mapping[str, Any], path: Path) -> None:
    """Require rank, alpha and patterns to be numbers from which a scale can be computed.

    Raises:
        InputError: a number is missing, or is not a number in the allowed range.
    """
    method = str(config.get("peft_type")).upper()
    row = METHODS[method]
    require_number(config, row.rank_key, path, whole=True)
    for key in (row.alpha_key, *({"hybrid_r", "scaling"} & row.defaults.keys())):
        if key:
            require_number(config, key, path)
    for key in PATTERNS:
        where = Path(f"{path}: {key}")
        pattern = {} if neutral(config.get(key)) else config[key]
        if not isinstance(pattern, Mapping):
            raise InputError("The pattern is not an object of names and numbers.", where=where)
        for name in pattern:
            if key == "rank_pattern" and method == "ADALORA":  # a list of booleans, one for each rank
                if not isinstance(pattern[name], list):
                    raise InputError("The kept ranks are not a list.", where=f"{where}: {name}")
            else:
                require_number(pattern, name, where, whole=key != "alpha_pattern")


def require_number(config: Mapping[str, Any], key: str, path: Path, *, whole: bool = False) -> float:
    """Return a number of the configuration.

    Args:
        config: the parsed configuration.
        key: the key of the number.
        path: the configuration file, for the error.
        whole: whether the number is a rank, which is an integer of at least 1. An alpha may be any number.

    Raises:
        InputError: the key is missing, or its value is not such a number.
    """
    value: Any = config.get(key)
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if (
        not numeric
        or not -LARGEST_NUMBER <= value <= LARGEST_NUMBER
        or (whole and (value < SMALLEST_RANK or value % 1))
    ):
        actual = "missing" if key not in config else f"{value!r:.40}"
        kind = (
            f"a whole number from 1 to {LARGEST_NUMBER:g}"
            if whole
            else f"a number from {-LARGEST_NUMBER:g} to {LARGEST_NUMBER:g}"
        )
        raise InputError(f"{key} is {actual}; it must be {kind}.", where=f"{path}: {key}")
    return float(value)


def invocation_of(config: Mapping[str, Any], path: Path) -> tuple[int, ...]:
    """Return the ids of the tokens after which an aLoRA is active, or () for any other adapter.

    Raises:
        InputError: the value is not a list of token ids.
    """
    tokens = config.get("alora_invocation_tokens")
    if neutral(tokens):
        return ()
    if not isinstance(tokens, list) or not all(type(token) is int and 0 <= token < 2**31 for token in tokens):
        raise InputError(
            f"The invocation tokens are {_shortened(tokens)}, not token ids.",
            where=f"{path}: alora_invocation_tokens",
        )
    return tuple(tokens)


def neutral(value: Any) -> bool:  # noqa: ANN401 — unchecked JSON
    """Return whether a value means that the setting is not set: null, false, or empty."""
    return value is None or value is False or value in ("", [], {})


def _shortened(value: Any) -> str:  # noqa: ANN401 — JSON
    """Return a value as JSON, cut to 60 characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
