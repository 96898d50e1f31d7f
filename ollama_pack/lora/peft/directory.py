"""Finds which adapter of a directory is meant, in which files it lies, and which trainer wrote them."""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_pack.errors import InputError, natural_key
from ollama_pack.files import read_json_object
from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.peft import mlx, torch_bin
from ollama_pack.lora.peft.run_directory import run_of
from ollama_pack.lora.peft.safetensors_header import read_safetensors
from ollama_pack.lora.rules import MERGE_HINT, RuleViolations

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
SHARDS_FILE = "adapter_model.safetensors.index.json"
PICKLE_FILE = "adapter_model.bin"
MLX_FILE = "adapters.safetensors"
TOP = "default"
"""What PEFT calls the adapter that it saves at the top of a directory."""

STRANGE_WEIGHTS = (".safetensors", ".pt", ".pth", ".npz", ".bin", ".ckpt")
"""How files end that may hold weights, but are called as no trainer calls an adapter's."""

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class AdapterDirectory:
    """Where the files of one adapter lie. It is resolved once, and nobody scans a directory afterwards.

    Attributes:
        path: the directory that the user named.
        home: the directory that holds the adapter: `path`, or a directory below it.
        run: the training run whose files a checkpoint borrows, or None if `home` is no checkpoint.
        config_file: the adapter_config.json that applies: that of `home`, or the borrowed one of `run`.
        notes: what the user should know about the choice.
    """

    path: Path
    home: Path
    run: Path | None
    config_file: Path
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AdapterSource:
    """An adapter whose configuration is read and whose weights are not.

    Attributes:
        directory: the directory that holds its files.
        weights: its file of weights.
        config: adapter_config.json in PEFT's terms.
        read: reads the weights: name → tensor, in PEFT's terms.
        notes: what the user should know about the choice.
        merge_hint: how its trainer merges an adapter into the base.
    """

    directory: Path
    weights: Path
    config: Mapping[str, Any]
    read: Callable[[], Tensors]
    notes: tuple[str, ...] = ()
    merge_hint: str = MERGE_HINT


def resolve_directory(path: Path, adapter: str = "") -> AdapterDirectory:
    """Return where the adapter that is meant lies: at the top, as the only one below, or under its name.

    Args:
        path: the directory that the user named.
        adapter: the name of one of several adapters in it; empty for the one at its top, or the only one.

    Raises:
        InputError: there is no such directory or adapter, or several could be meant.
    """
    if not path.is_dir():
        raise InputError(
            "There is no such directory." if not path.exists() else "This is a file; name its directory.",
            where=path,
            hint="ollama-pack inspect DIR, with the directory that holds adapter_config.json",
        )
    home, notes = _choose(path, adapter)
    run, config_file = run_of(home), _config_file_of(home)
    if config_file.parent != home:
        notes = (*notes, f"it has no {CONFIG_FILE}: that of its run is taken")
    return AdapterDirectory(path, home, run, config_file, notes)


def open_adapter(found: AdapterDirectory) -> AdapterSource:
    """Return the adapter of a directory, with its configuration read.

    Raises:
        InputError: a file is missing or damaged.
        UnsupportedError: the weights are a pickle, and torch is not installed.
    """
    home, notes, config = found.home, found.notes, read_json_object(found.config_file)
    if (home / MLX_FILE).exists() and mlx.is_mlx(config):
        return _mlx_source(home, config, notes)
    if (home / WEIGHTS_FILE).exists():
        return AdapterSource(
            home, home / WEIGHTS_FILE, config, lambda: read_safetensors(home / WEIGHTS_FILE), notes
        )
    if (home / SHARDS_FILE).exists():
        return AdapterSource(home, home / SHARDS_FILE, config, lambda: _read_shards(home), notes)
    if (home / PICKLE_FILE).exists():
        return AdapterSource(
            home, home / PICKLE_FILE, config, lambda: torch_bin.read_pickle(home / PICKLE_FILE), notes
        )
    strange = sorted(path.name for path in home.iterdir() if path.suffix in STRANGE_WEIGHTS)
    if strange:
        raise InputError(
            f"There is no {WEIGHTS_FILE} here; there is {', '.join(strange[:4])}.",
            where=home,
            hint="save the adapter in PEFT's format, or with mlx-lm, as one file of safetensors",
        )
    raise InputError(
        f"There is no {WEIGHTS_FILE} here.", where=home, hint=_elsewhere(found.path, WEIGHTS_FILE)
    )


def _mlx_source(home: Path, config: Mapping[str, Any], notes: tuple[str, ...]) -> AdapterSource:
    """Return an adapter of mlx-lm, with its configuration and its tensor names in PEFT's terms."""
    weights, violations = home / MLX_FILE, RuleViolations(home / CONFIG_FILE)
    translated = mlx.to_peft(config, home / CONFIG_FILE, violations)
    violations.raise_if_any()
    return AdapterSource(
        home, weights, translated, lambda: mlx.rename(read_safetensors(weights)), notes, mlx.MLX_MERGE_HINT
    )


def adapters_in(directory: Path) -> dict[str, Path]:
    """Return name → directory of each adapter that PEFT saved one or two levels below a directory.

    Checkpoints and hidden directories are left out. If two directories have one name, each is called by its
    path from `directory`.
    """
    near = _subdirectories(directory)
    below = [*near, *(deeper for each in near for deeper in _subdirectories(each))]
    found = sorted(each.relative_to(directory) for each in below if (each / CONFIG_FILE).exists())
    names = Counter(path.name for path in found)
    return {path.name if names[path.name] == 1 else path.as_posix(): directory / path for path in found}


def _subdirectories(directory: Path) -> list[Path]:
    """Return the directories in a directory that may hold an adapter, or none if it cannot be read."""
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except OSError:  # whoever reads the adapter will say so
        return []
    return [directory / name for name in names if not name.startswith(("checkpoint-", "."))]


def _choose(directory: Path, adapter: str) -> tuple[Path, tuple[str, ...]]:
    """Return the directory of the adapter that is meant, and what to tell of the others."""
    below, top = adapters_in(directory), _config_file_of(directory).exists()
    names = [*([TOP] if top else []), *sorted(below, key=natural_key)]
    if adapter:
        if adapter in below:
            return below[adapter], ()
        if adapter == TOP and top:
            return directory, ()
        raise InputError(
            f"There is no adapter {adapter!r} here; there is {', '.join(names) or 'none'}.",
            where=directory,
            hint=f"--adapter {names[0]}" if names else _elsewhere(directory, CONFIG_FILE),
        )
    if top:
        more = ", ".join(sorted(below, key=natural_key))
        return directory, (
            (f"not taken: {more} (--adapter NAME takes one of these instead)",) if more else ()
        )
    if len(below) == 1:
        name, home = next(iter(below.items()))
        return home, (f"{home.relative_to(directory).as_posix()}/ is the only adapter here: {name}",)
    if below:
        raise InputError(
            f"Several adapters lie here: {', '.join(names)}.", where=directory, hint=f"--adapter {names[0]}"
        )
    raise InputError(
        f"There is no {CONFIG_FILE} here.", where=directory, hint=_elsewhere(directory, CONFIG_FILE)
    )


def _config_file_of(home: Path) -> Path:
    """Return the adapter_config.json of a directory; a checkpoint without one borrows that of its run."""
    run = run_of(home)
    if run is None or (home / CONFIG_FILE).exists() or not (run / CONFIG_FILE).exists():
        return home / CONFIG_FILE
    return run / CONFIG_FILE


def _elsewhere(directory: Path, file: str) -> str:
    """Return what to try where a directory lacks a file: the last directory in it that has one."""
    found = sorted((path.parent.name for path in directory.glob(f"*/{file}")), key=natural_key)
    return (
        f"ollama-pack build {directory / found[-1]}"
        if found
        else "name the directory the adapter was saved in"
    )


def _read_shards(home: Path) -> Tensors:
    index = read_json_object(home / SHARDS_FILE).get("weight_map")
    if not isinstance(index, dict) or not all(isinstance(file, str) for file in index.values()):
        raise InputError("The index names no files.", where=f"{home / SHARDS_FILE}: weight_map")
    tensors: dict[str, Tensor] = {}
    for file in sorted(set(index.values())):
        if Path(file).name != file or not file.isprintable():
            raise InputError(
                f"{file!r} is no file beside the index.", where=f"{home / SHARDS_FILE}: weight_map"
            )
        tensors |= read_safetensors(home / file)
    lost = sorted(set(index) - set(tensors))
    if lost:
        raise InputError(f"No shard has the tensor {lost[0]}.", where=home / SHARDS_FILE)
    return tensors
