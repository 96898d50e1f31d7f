"""Find the adapter that the user means in a directory, its files, and the trainer that wrote them."""

import contextlib
import os
import shlex
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ollama_pack.disk.files import read_json_object
from ollama_pack.errors import InputError, UsageError, natural_key
from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.hints import MERGE_HINT
from ollama_pack.lora.peft import mlx, torch_bin
from ollama_pack.lora.peft.not_an_adapter import no_adapter_here, no_weights_here, require_adapter_directory
from ollama_pack.lora.peft.run_directory import (
    CONFIG_FILE,
    MLX_FILE,
    PICKLE_FILE,
    SHARDS_FILE,
    WEIGHTS_FILE,
    run_of,
)
from ollama_pack.lora.peft.safetensors_header import read_safetensors
from ollama_pack.lora.unsupported import RuleViolations

TOP = "default"
"""The name that PEFT gives to the adapter at the top of a directory."""

Tensors = Mapping[str, Tensor]


class AdapterDirectory(NamedTuple):
    """The place of the files of one adapter. It is resolved once, so that no directory is scanned again.

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


class AdapterSource(NamedTuple):
    """An adapter whose configuration is already read and whose weights are not.

    Attributes:
        directory: the directory that holds its files.
        weights: the file that holds its weights.
        config: the parsed adapter_config.json, translated to PEFT's keys if another trainer wrote it.
        read: the function that reads the weights. It returns the tensors by name, in PEFT's names and layout.
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
    """Return the place of the adapter that the user means.

    It is the adapter with the given name, else the one at the top, else the only one below.

    Args:
        path: the directory that the user named.
        adapter: the name of one of several adapters in it, or '' if no name was given.

    Raises:
        InputError: there is no such directory or adapter, or several could be meant.
    """
    require_adapter_directory(path)
    home, notes = _choose(path, adapter)
    run, config_file = run_of(home), _config_file_of(home)
    if config_file.parent != home:
        notes = (*notes, f"it has no {CONFIG_FILE}, so the one of its training run is used")
    return AdapterDirectory(path, home, run, config_file, notes)


def open_adapter(directory: AdapterDirectory) -> AdapterSource:
    """Return the adapter of a directory, with its configuration read and its weights unread.

    Raises:
        InputError: a file is missing or damaged.
        UnsupportedError: an mlx-lm configuration has a scale that is ambiguous.
    """
    home, notes, config = directory.home, directory.notes, read_json_object(directory.config_file)
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
    raise no_weights_here(home, directory.path)


def _mlx_source(home: Path, config: Mapping[str, Any], notes: tuple[str, ...]) -> AdapterSource:
    """Return an adapter of mlx-lm, with its configuration and tensor names translated to PEFT's."""
    weights, violations = home / MLX_FILE, RuleViolations(home / CONFIG_FILE)
    translated = mlx.to_peft(config, home / CONFIG_FILE, violations)
    violations.raise_if_any()
    return AdapterSource(
        home, weights, translated, lambda: mlx.rename(read_safetensors(weights)), notes, mlx.MLX_MERGE_HINT
    )


def adapters_in(directory: Path) -> dict[str, Path]:
    """Return the directories of the adapters one or two levels below a directory, by name.

    Checkpoints and hidden directories are left out. If two directories have the same name, each is
    named by its path from `directory`.
    """
    near = _subdirectories(directory)
    below = [*near, *(deeper for each in near for deeper in _subdirectories(each))]
    paths = sorted(each.relative_to(directory) for each in below if (each / CONFIG_FILE).exists())
    names = Counter(path.name for path in paths)
    return {path.name if names[path.name] == 1 else path.as_posix(): directory / path for path in paths}


def converted_adapters_in(directory: Path, config: Mapping[str, Any]) -> list[str]:
    """Return the adapters below one that altered its base, which are plain LoRAs of twice its rank.

    PEFT makes such a LoRA of PiSSA or OLoRA (``path_initial_model_for_weight_conversion``), and
    LLaMA-Factory saves it as ``pissa_converted``.
    """
    names = []
    for name, home in adapters_in(directory).items():
        with contextlib.suppress(InputError):
            other = read_json_object(home / CONFIG_FILE)
            doubled = isinstance(config.get("r"), int) and other.get("r") == 2 * config["r"]
            if doubled and other.get("init_lora_weights", True) in (True, False):
                names.append(name)
    return names


def _subdirectories(directory: Path) -> list[Path]:
    """Return the directories in a directory that may hold an adapter, or none if it cannot be read."""
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except OSError:  # Reading the adapter will report it, if one is there.
        return []
    return [directory / name for name in names if not name.startswith(("checkpoint-", "."))]


def _choose(directory: Path, adapter: str) -> tuple[Path, tuple[str, ...]]:
    """Return the directory of the adapter that the user means, and a note if there was a choice."""
    below, top = adapters_in(directory), _config_file_of(directory).exists()
    names = [*([TOP] if top else []), *sorted(below, key=natural_key)]
    if adapter:
        if adapter in below:
            return below[adapter], ()
        if adapter == TOP and top:
            return directory, ()
        raise UsageError(
            f"There is no adapter {adapter!r} here; there is {', '.join(names) or 'no other'}.",
            where=directory,
            hint=f"--adapter {shlex.quote(names[0])}" if names else no_adapter_here(directory).hint,
            code="no-such-adapter",
        )
    if top:
        more = ", ".join(sorted(below, key=natural_key))
        return directory, ((f"not used: {more} (--adapter NAME selects one of them)",) if more else ())
    if len(below) == 1:
        name, home = next(iter(below.items()))
        return home, (f"{home.relative_to(directory).as_posix()}/ is used, the only adapter here: {name}",)
    if below:
        raise UsageError(
            f"There are several adapters here: {', '.join(names)}.",
            where=directory,
            hint=f"--adapter {shlex.quote(names[0])}",
            code="several-adapters",
        )
    raise no_adapter_here(directory)


def _config_file_of(home: Path) -> Path:
    """Return the adapter_config.json of a directory, or that of its run if a checkpoint has none.

    Why: docs/decisions.md, "A checkpoint borrows from its run".
    """
    run = run_of(home)
    if run is None or (home / CONFIG_FILE).exists() or not (run / CONFIG_FILE).exists():
        return home / CONFIG_FILE
    return run / CONFIG_FILE


def _read_shards(home: Path) -> Tensors:
    """Return the tensors of all shards that the index names.

    Raises:
        InputError: the index is damaged, or a shard or a tensor is missing.
    """
    index = read_json_object(home / SHARDS_FILE).get("weight_map")
    if not isinstance(index, dict) or not all(isinstance(file, str) for file in index.values()):
        raise InputError(
            "weight_map does not map tensor names to files.", where=f"{home / SHARDS_FILE}: weight_map"
        )
    tensors: dict[str, Tensor] = {}
    for file in sorted(set(index.values())):
        if Path(file).name != file or not file.isprintable():
            raise InputError(
                f"{file!r} is not a file in the directory of the index.",
                where=f"{home / SHARDS_FILE}: weight_map",
            )
        tensors |= read_safetensors(home / file)
    missing = sorted(set(index) - set(tensors))
    if missing:
        raise InputError(f"No shard has the tensor {missing[0]}.", where=home / SHARDS_FILE)
    return tensors
