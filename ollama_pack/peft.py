"""READ  adapter directory → Adapter.

What PEFT writes is documented in its checkpoint format guide; the scale rules are those of
``LoraLayer.update_layer`` and ``get_pattern_key``. Whatever is not LoRA on linear weights is
refused here, by name, before anything is written.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ollama_pack.errors import InputError, UnsupportedError, listing, natural_key
from ollama_pack.parts import Adapter, LoraPair, StoredTensor
from ollama_pack.peft_config import check_config, positive_number
from ollama_pack.safetensors_io import read_safetensors

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"

_FACTOR = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])(\.(?P<adapter>[^.]+))?\.weight")
_PREFIX = "base_model.model."

_OTHER_TENSORS = (
    (re.compile(r"\.lora_magnitude_vector"), "a DoRA magnitude", "A and B alone would be wrong"),
    (
        re.compile(r"\.lora_embedding_[AB]"),
        "LoRA on an embedding",
        "llama.cpp cannot apply it to tied embeddings",
    ),
    (re.compile(r"\.lora_[AB](\.[^.]+)?\.bias$"), "a bias of B (lora_bias)", "a GGUF LoRA has no biases"),
    (re.compile(r"trainable_tokens"), "trained tokens", "a GGUF LoRA cannot carry them"),
    (re.compile(r"\.bias$"), "a trained bias", "a GGUF LoRA has no biases"),
    (re.compile(r"norm[^.]*\.weight$"), "a trained norm", "llama.cpp would ignore it"),
    (re.compile(r"\.weight$"), "a whole weight (modules_to_save)", "a GGUF LoRA carries only A and B"),
)


def read_adapter(directory: Path) -> Adapter:
    """Return the adapter in a directory that PEFT's ``save_pretrained`` or the Trainer made.

    Only headers are read; the weights stay on disk.

    Raises:
        InputError: a file is missing or damaged, or configuration and weights disagree.
        UnsupportedError: the adapter is not LoRA on linear weights; every tensor is named.
    """
    if not directory.is_dir():
        raise InputError(
            "There is no such directory."
            if not directory.exists()
            else "This is a file; name its directory.",
            where=directory,
            hint="ollama-pack inspect DIR, with the directory that holds adapter_config.json",
        )
    config = read_config(directory / CONFIG_FILE)
    check_config(config, directory / CONFIG_FILE)
    weights = directory / WEIGHTS_FILE
    if not weights.exists():
        raise _no_weights(directory)
    factors = _sort_factors(read_safetensors(weights), weights)
    rank = positive_number(config, "r", directory / CONFIG_FILE)
    if rank != int(rank):
        raise InputError(f"The rank {rank} is not a whole number.", where=f"{directory / CONFIG_FILE}: r")
    alpha = positive_number(config, "lora_alpha", directory / CONFIG_FILE)
    return Adapter(
        directory=directory,
        weights=weights,
        pairs=_pairs(factors, config, directory),
        rank=int(rank),
        alpha=alpha,
        base_id=str(config.get("base_model_name_or_path") or ""),
        config=config,
    )


def read_config(path: Path) -> Mapping[str, Any]:
    """Return a JSON object from a file.

    Raises:
        InputError: the file is missing, unreadable, not UTF-8, not JSON or not an object.
    """
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"There is no {path.name} here.",
            where=path.parent,
            hint=_nested(path.parent, path.name),
        ) from error
    except OSError as error:
        raise InputError(f"Cannot read the file: {error.strerror}.", where=path) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"The file is not JSON ({error}).", where=path) from error
    if not isinstance(config, dict):
        raise InputError("The file holds no JSON object.", where=path)
    return config


def _no_weights(directory: Path) -> InputError | UnsupportedError:
    if (directory / "adapter_model.bin").exists():
        return UnsupportedError(
            "The weights are a pickle (adapter_model.bin), which is not opened.",
            where=directory / "adapter_model.bin",
            hint="save them again with model.save_pretrained(DIR, safe_serialization=True)",
        )
    return InputError(
        f"There is no {WEIGHTS_FILE} here.", where=directory, hint=_nested(directory, WEIGHTS_FILE)
    )


def _nested(directory: Path, file: str) -> str:
    """Return what to try where a directory lacks a file: the last directory in it that has one."""
    found = sorted((path.parent.name for path in directory.glob(f"*/{file}")), key=natural_key)
    return (
        f"ollama-pack build {directory / found[-1]}"
        if found
        else "name the directory PEFT saved the adapter in"
    )


def _sort_factors(tensors: Mapping[str, StoredTensor], path: Path) -> dict[str, dict[str, StoredTensor]]:
    """Return module → {"A": …, "B": …}; refuse every tensor that is neither."""
    if not tensors:
        raise InputError("The file holds no tensor: nothing was trained, or nothing was saved.", where=path)
    factors: dict[str, dict[str, StoredTensor]] = {}
    refused, twice = [], []
    for name, tensor in tensors.items():
        match = _FACTOR.fullmatch(name)
        if match is None:
            refused.append(_refusal(name))
            continue
        sides = factors.setdefault(match["module"].removeprefix(_PREFIX), {})
        if match["side"] in sides:
            twice.append(f"{name} and {sides[match['side']].name}")
        sides[match["side"]] = tensor
    if refused:
        raise UnsupportedError(
            listing("The adapter holds more than LoRA on linear weights:", refused),
            where=path,
            hint="train with LoRA on linear modules only, or merge the adapter with PEFT's merge_and_unload",
        )
    if twice:
        raise InputError(listing("These tensors are the same weight twice:", twice), where=path)
    return factors


def _refusal(name: str) -> str:
    for pattern, kind, reason in _OTHER_TENSORS:
        if pattern.search(name):
            return f"{name}: {kind}; {reason}"
    return f"{name}: neither a lora_A nor a lora_B"


def _pairs(
    factors: Mapping[str, Mapping[str, StoredTensor]], config: Mapping[str, Any], directory: Path
) -> tuple[LoraPair, ...]:
    """Pair A with B, settle rank and scale, and check both against the configuration."""
    path, problems, pairs = directory / WEIGHTS_FILE, [], []
    for module in sorted(factors, key=natural_key):
        sides = factors[module]
        if len(sides) < 2:
            present = next(iter(sides))
            problems.append(f"{sides[present].name}: has no lora_{'B' if present == 'A' else 'A'} beside it")
            continue
        a, b = sides["A"], sides["B"]
        rank, alpha = rank_and_alpha(module, config)
        if len(a.shape) != 2 or len(b.shape) != 2 or 0 in (*a.shape, *b.shape):
            problems.append(f"{module}: A {_shape(a)} and B {_shape(b)} are not two matrices")
        elif a.shape[0] != b.shape[1]:
            problems.append(f"{module}: A {_shape(a)} and B {_shape(b)} have different ranks")
        elif a.shape[0] != rank:
            problems.append(f"{module}: rank {a.shape[0]} in the file, {rank:g} in {CONFIG_FILE}")
        else:
            pairs.append(LoraPair(module, a, b, alpha))
    if problems:
        raise InputError(
            listing("The weights are damaged or of another configuration:", problems), where=path
        )
    return tuple(pairs)


def rank_and_alpha(module: str, config: Mapping[str, Any]) -> tuple[float, float]:
    """Return a module's rank, and the alpha for which alpha / rank is PEFT's scale.

    ``rank_pattern`` and ``alpha_pattern`` are matched as PEFT's ``get_pattern_key`` does: the first
    key that matches the whole name or the end of it, from a dot on. With ``use_rslora`` the scale
    is ``lora_alpha / √rank``, so alpha becomes ``lora_alpha · √rank``.
    """
    rank = _by_pattern(config.get("rank_pattern"), module, config["r"])
    alpha = _by_pattern(config.get("alpha_pattern"), module, config["lora_alpha"])
    return rank, alpha * math.sqrt(rank) if config.get("use_rslora") else alpha


def _by_pattern(patterns: Mapping[str, float] | None, module: str, default: float) -> float:
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default


def _shape(tensor: StoredTensor) -> str:
    return "×".join(map(str, tensor.shape)) or "()"
