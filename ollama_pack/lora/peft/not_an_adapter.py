"""Say what a path holds that is no adapter, and the way from there to one.

Each way is typed out, so that it can be followed as it stands; tests/cli/test_remedies.py does.
"""

import re
import shlex
from pathlib import Path

from ollama_pack.errors import InputError, UsageError, natural_key
from ollama_pack.files import require_directory
from ollama_pack.lora.peft.run_directory import CONFIG_FILE, MLX_FILE, PICKLE_FILE, WEIGHTS_FILE, step_of

OTHER_WEIGHTS = (".safetensors", ".pt", ".pth", ".npz", ".bin", ".ckpt")
"""Suffixes of files that may hold weights under a name that no supported trainer uses. They help an error."""

OLD_CHECKPOINT, OLD_MLX = "pytorch_model.bin", "adapters.npz"
_WHOLE_MODEL = ("model*.safetensors", f"{OLD_CHECKPOINT.removesuffix('.bin')}*.bin")
_ON_THE_HUB = re.compile(r"(?:https?:/+[^/]+/)?([\w-][\w.-]*/[\w-][\w.-]*)(?:/tree/[^/]+)?/?")

CONFIG_TO_WRITE = """'{"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA}'"""


def require_adapter_directory(path: Path) -> None:
    """Require that a path is a directory; an id or an address of the Hub is told how it becomes one.

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
    if (directory / "config.json").exists() and any(map(list, map(directory.glob, _WHOLE_MODEL))):
        what = f"{what[:-1]}: this is a whole model and not an adapter."
        hint = (
            "convert it with llama.cpp's convert_hf_to_gguf.py, write FROM ./MODEL.gguf into a Modelfile, "
            "and run ollama create"
        )
    elif (directory / WEIGHTS_FILE).exists() or (directory / OLD_MLX).exists():
        keys = "with the rank and alpha of the training"
        hint = f"echo {CONFIG_TO_WRITE} > {_quoted(directory / CONFIG_FILE)}  {keys}"
    elif old := _old_checkpoints(directory):
        what = f"{what[:-1]}; {old[-1].name}/ has {OLD_CHECKPOINT}."
        hint = f"{_rename(old[-1])}\n       echo {CONFIG_TO_WRITE} > {_quoted(directory / CONFIG_FILE)}"
    else:
        hint = _where_to_look(directory, CONFIG_FILE)
    return InputError(what, where=directory, hint=hint, code="no-adapter")


def no_weights_here(home: Path, named: Path) -> InputError:
    """Return the error for a directory that has a configuration, but no weights under a known name.

    Args:
        home: the directory of the adapter.
        named: the directory that the user named.
    """
    what = f"There is no {WEIGHTS_FILE} here"
    others = sorted(path.name for path in home.iterdir() if path.suffix in OTHER_WEIGHTS)
    if OLD_CHECKPOINT in others:
        what, hint = f"{what}; there is {OLD_CHECKPOINT}", _rename(home)
    elif OLD_MLX in others:
        what, hint = f"{what}; there is {OLD_MLX}, which mlx-lm wrote until March 2024", _from_npz(home)
    elif others:
        what = f"{what}; there is {', '.join(others[:4])}"
        hint = "save the adapter with PEFT or mlx-lm, as safetensors"
    else:
        hint = _where_to_look(named, WEIGHTS_FILE)
    return InputError(f"{what}.", where=home, hint=hint, code="no-weights")


def _where_to_look(directory: Path, file: str) -> str:
    """Return the hint for a directory without a file: the last directory below it that has the file."""
    homes = sorted((path.parent.name for path in directory.glob(f"*/{file}")), key=natural_key)
    if homes:
        return f"ollama-pack build {_quoted(directory / homes[-1])}"
    return "name the directory that the adapter was saved in"


def _old_checkpoints(directory: Path) -> list[Path]:
    """Return the checkpoints of a directory that have the weights of 2023 and no others, by step."""
    homes = [path.parent for path in directory.glob(f"*/{OLD_CHECKPOINT}")]
    homes += [directory] if (directory / OLD_CHECKPOINT).exists() else []
    return sorted(homes, key=lambda home: step_of(home) or 0)


def _rename(home: Path) -> str:
    """Return how the weights that transformers saved for a checkpoint of a LoRA get PEFT's name."""
    source, target = _quoted(home / OLD_CHECKPOINT), _quoted(home / PICKLE_FILE)
    return f"cp {source} {target}  if a LoRA was trained: transformers of 2023 saved its checkpoints so"


def _from_npz(home: Path) -> str:
    """Return the command that turns numpy's archive of mlx-lm into safetensors."""
    source, target = str(home / OLD_MLX), str(home / MLX_FILE)
    code = f"import numpy, safetensors.numpy as s; s.save_file(dict(numpy.load({source!r})), {target!r})"
    return f"python -c {shlex.quote(code)}"


def _quoted(path: Path) -> str:
    """Return a path as a shell takes it."""
    return shlex.quote(str(path))
