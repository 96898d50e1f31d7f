"""Errors for a path that holds no adapter: they say what is there, and how to make an adapter of it.

Each hint is a command that can be run as it stands; tests/cli/test_rule_hints.py runs them.
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from ollama_pack.disk.files import require_directory
from ollama_pack.errors import InputError, UsageError, natural_key
from ollama_pack.lora.peft.run_directory import CONFIG_FILE, MLX_FILE, PICKLE_FILE, WEIGHTS_FILE, step_of

OTHER_WEIGHTS = (".safetensors", ".pt", ".pth", ".npz", ".bin", ".ckpt")
"""Suffixes of files that may hold weights under a name that no supported trainer uses; errors name them."""

OLD_CHECKPOINT, OLD_MLX = "pytorch_model.bin", "adapters.npz"
_WHOLE_MODEL = ("model*.safetensors", f"{OLD_CHECKPOINT.removesuffix('.bin')}*.bin")
_OF_A_CHECKPOINT: Mapping[str, str] = {
    OLD_CHECKPOINT: PICKLE_FILE,
    "pytorch_model_fsdp.bin": PICKLE_FILE,
    "model.safetensors": WEIGHTS_FILE,
}
"""The names under which trainers save what PEFT does not save for them → PEFT's name for that format."""

_PEFT_NAMES = (WEIGHTS_FILE, PICKLE_FILE)

_OF_SEVERAL_PROCESSES: Mapping[str, str] = {
    "global_step*/*_model_states.pt": "python {home}/zero_to_fp32.py {home} {home}",
    "pytorch_model_fsdp_*/*.distcp": "accelerate merge-weights {found} {home}",
}
"""Where DeepSpeed and FSDP save the parts of each process → the command that makes one file of them."""

_BUILT = "ollama-pack.lock"
"""The file that shows that a build wrote the folder."""

_ON_THE_HUB = re.compile(r"(?:https?:/+[^/]+/)?([\w-][\w.-]*/[\w-][\w.-]*)(?:/tree/[^/]+)?/?")

CONFIG_TO_WRITE = """'{"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA}'"""


MLX_CONFIG_TO_WRITE = """'{"fine_tune_type": "lora", "lora_parameters": {"rank": RANK, "scale": ALPHA}}'"""
SAVE_WITH_PEFT = "save the adapter with PEFT or mlx-lm, as safetensors"


def require_adapter_directory(path: Path) -> None:
    """Require that a path is a directory; the error for an id of the Hub says how to download it.

    Raises:
        UsageError: it does not exist, or is a file.
    """
    match = _ON_THE_HUB.fullmatch(path.as_posix())
    if match and not path.exists() and not path.parent.is_dir():
        name = match[1].rpartition("/")[2]
        raise UsageError(
            "There is no such directory; it may be the name of an adapter on the Hugging Face Hub.",
            where=path,
            hint=f"hf download {match[1]} --local-dir {name} && ollama-pack build {name}",
            code="no-such-directory",
        )
    require_directory(path, "name the directory that holds adapter_config.json")


def no_adapter_here(directory: Path) -> InputError:
    """Return the error for a directory in which no adapter_config.json is found."""
    what = f"There is no {CONFIG_FILE} here."
    if (directory / _BUILT).exists():
        what = f"{what[:-1]}: this folder was written by a build, and holds the model that it made."
        hint = f"ollama-pack register {shlex.quote(str(directory))}"
    elif (directory / "config.json").exists() and any(map(list, map(directory.glob, _WHOLE_MODEL))):
        what = f"{what[:-1]}: this is a whole model and not an adapter."
        hint = (
            "convert it with llama.cpp's convert_hf_to_gguf.py, write FROM ./MODEL.gguf into a Modelfile, "
            "and run ollama create"
        )
    elif any((directory / name).exists() for name in (WEIGHTS_FILE, PICKLE_FILE, OLD_MLX)):
        hint = _write_config(directory)
    elif homes := _with_weights(directory):
        home, way = homes[-1]
        what = f"{what[:-1]}; {home.relative_to(directory.parent)}/ has {_found_in(home)}."
        hint = "\n       ".join(filter(None, (way, _write_config(directory))))
    else:
        hint = _where_to_look(directory, CONFIG_FILE)
        others = _stray_weights(directory)
        if others and not any(directory.glob(f"*/{CONFIG_FILE}")):
            what, hint = f"{what[:-1]}; there is {', '.join(others[:4])}.", _way_from(directory / others[0])
    return InputError(what, where=directory, hint=hint, code="no-adapter")


def no_weights_here(home: Path, named: Path) -> InputError:
    """Return the error for a directory that has a configuration, but no weights under a known name.

    Args:
        home: the directory of the adapter.
        named: the directory that the user named.
    """
    what = f"There is no {WEIGHTS_FILE} here"
    others = _stray_weights(home)
    if way := _way_to_weights(home):
        what, hint = f"{what}; there is {_found_in(home)}", way
    elif OLD_MLX in others:
        what, hint = f"{what}; there is {OLD_MLX}, which mlx-lm wrote until March 2024", _from_npz(home)
    elif others:
        what = f"{what}; there is {', '.join(others[:4])}"
        hint = SAVE_WITH_PEFT
    else:
        hint = _where_to_look(named, WEIGHTS_FILE, PICKLE_FILE)
    return InputError(f"{what}.", where=home, hint=hint, code="no-weights")


def _stray_weights(home: Path) -> list[str]:
    """Return the files of a directory that may hold weights under a name that no supported trainer uses."""
    return sorted(path.name for path in home.iterdir() if path.suffix in OTHER_WEIGHTS)


def _way_from(weights: Path) -> str:
    """Return the commands that make an adapter of weights under another name, without a configuration."""
    home = weights.parent
    if weights.name == MLX_FILE:
        return f"echo {MLX_CONFIG_TO_WRITE} > {_quoted(home / CONFIG_FILE)}  with the numbers of the training"
    if weights.suffix == ".safetensors":
        copy = f"cp {_quoted(weights)} {_quoted(home / WEIGHTS_FILE)}  if it is a LoRA of a language model"
        return f"{copy}\n       {_write_config(home)}"
    return SAVE_WITH_PEFT


def _where_to_look(directory: Path, *files: str) -> str:
    """Return the hint for a directory without a file: the last directory below it that has one of them."""
    homes = sorted(
        (path.parent.name for file in files for path in directory.glob(f"*/{file}")), key=natural_key
    )
    if homes:
        return f"ollama-pack build {_quoted(directory / homes[-1])}"
    return "name the directory that the adapter was saved in"


def _with_weights(directory: Path) -> list[tuple[Path, str]]:
    """Return the directories of a run that have weights, by step, each with the command to rename them."""
    homes = [directory, *(path for path in directory.glob("*") if path.is_dir())]
    found = [(home, _way_to_weights(home)) for home in homes]
    found = [(home, way) for home, way in found if way or any((home / name).exists() for name in _PEFT_NAMES)]
    return sorted(found, key=lambda each: step_of(each[0]) or 0)


def _found_in(home: Path) -> str:
    """Return the name of the weights that a directory has."""
    names = (*_OF_A_CHECKPOINT, *_OF_SEVERAL_PROCESSES, *_PEFT_NAMES)
    return next(str(path.relative_to(home)) for name in names for path in sorted(home.glob(name)))


def _way_to_weights(home: Path) -> str:
    """Return the command that makes weights under PEFT's name from others, or an empty text."""
    for name, peft_name in _OF_A_CHECKPOINT.items():
        if (home / name).exists():
            source, target = _quoted(home / name), _quoted(home / peft_name)
            return f"cp {source} {target}  if a LoRA was trained: some trainers save it under this name"
    for pattern, command in _OF_SEVERAL_PROCESSES.items():
        for found in sorted(home.glob(pattern)):
            words = command.format(home=_quoted(home), found=_quoted(found.parent))
            return f"{words}  makes one file of the parts of each process; then build again"
    return ""


def _write_config(directory: Path) -> str:
    """Return the command that writes what PEFT would have written beside the weights."""
    keys = "with the rank and alpha of the training"
    return f"echo {CONFIG_TO_WRITE} > {_quoted(directory / CONFIG_FILE)}  {keys}"


def _from_npz(home: Path) -> str:
    """Return the command that turns numpy's archive of mlx-lm into safetensors."""
    source, target = str(home / OLD_MLX), str(home / MLX_FILE)
    code = f"import numpy, safetensors.numpy as s; s.save_file(dict(numpy.load({source!r})), {target!r})"
    return f"python -c {shlex.quote(code)}"


def _quoted(path: Path) -> str:
    """Return a path as a shell takes it."""
    return shlex.quote(str(path))
