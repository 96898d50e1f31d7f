"""READ  which adapter of a directory is meant, in which files it lies, and who wrote them."""

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
class AdapterSource:
    """An adapter, found but not read.

    Attributes:
        directory: where its files lie.
        weights: its file of weights.
        config: adapter_config.json in PEFT's words.
        read: reads the weights: name → tensor, in PEFT's words.
        notes: what the user should know about the choice.
        merge_hint: how its trainer merges an adapter into the base.
    """

    directory: Path
    weights: Path
    config: Mapping[str, Any]
    read: Callable[[], Tensors]
    notes: tuple[str, ...] = ()
    merge_hint: str = MERGE_HINT


def find_adapter(directory: Path, adapter: str = "") -> AdapterSource:
    """Return the adapter of a directory: the one at its top, the only one below, or the one named.

    Raises:
        InputError: there is no such adapter, several could be meant, or a file is missing.
        UnsupportedError: the weights are a pickle, and torch is not installed.
    """
    if not directory.is_dir():
        raise InputError(
            "There is no such directory."
            if not directory.exists()
            else "This is a file; name its directory.",
            where=directory,
            hint="ollama-pack inspect DIR, with the directory that holds adapter_config.json",
        )
    home, notes = _choose(directory, adapter)
    settings = _settings_of(home)
    if settings.parent != home:
        notes = (*notes, f"it has no {CONFIG_FILE}: that of its run is taken")
    config = read_json_object(settings)
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
        f"There is no {WEIGHTS_FILE} here.", where=home, hint=_elsewhere(directory, WEIGHTS_FILE)
    )


def _mlx_source(home: Path, config: Mapping[str, Any], notes: tuple[str, ...]) -> AdapterSource:
    """Return an adapter of mlx-lm, with its configuration and its tensor names in PEFT's terms."""
    weights, violations = home / MLX_FILE, RuleViolations(home / CONFIG_FILE)
    translated = mlx.to_peft(config, home / CONFIG_FILE, violations)
    violations.raise_if_any()
    return AdapterSource(
        home, weights, translated, lambda: mlx.rename(read_safetensors(weights)), notes, mlx.MLX_MERGE_HINT
    )


def adapter_home(directory: Path, adapter: str = "") -> Path:
    """Return the directory in which the files of the adapter that is meant lie, itself where none can be."""
    try:
        return _choose(directory, adapter)[0]
    except InputError:  # `locate` tells, when it is read
        return directory


def adapters_in(directory: Path) -> dict[str, Path]:
    """Return name → directory of each adapter that PEFT saved below another; checkpoints are none.

    Where two directories have one name, each is called by its way from above.
    """
    found = [
        path.parent.relative_to(directory)
        for path in sorted((*directory.glob(f"*/{CONFIG_FILE}"), *directory.glob(f"*/*/{CONFIG_FILE}")))
    ]
    found = [way for way in found if not any(part.startswith(("checkpoint-", ".")) for part in way.parts)]
    names = Counter(way.name for way in found)
    return {way.name if names[way.name] == 1 else way.as_posix(): directory / way for way in found}


def _choose(directory: Path, adapter: str) -> tuple[Path, tuple[str, ...]]:
    below, top = adapters_in(directory), _settings_of(directory).exists()
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


def _settings_of(home: Path) -> Path:
    """Return the adapter_config.json of a directory; a checkpoint without one has that of its run."""
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
