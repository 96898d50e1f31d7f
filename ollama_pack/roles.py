"""READ  the files of an adapter directory → what each is for. No file is opened."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ollama_pack.adapters.locate import CONFIG_FILE, PICKLE_FILE, WEIGHTS_FILE
from ollama_pack.errors import InputError

USED = "used"
LEFT_OUT = "left out"

ROLES: tuple[tuple[str, str, str], ...] = (
    ("adapter_config.json", "configuration", USED),
    ("adapter_model.safetensors", "adapter weights", USED),
    ("adapters.safetensors", "adapter weights of mlx-lm", USED),
    ("adapter_model.safetensors.index.json", "list of the files the weights are in", USED),
    ("adapter_model-*.safetensors", "adapter weights, a part", USED),
    ("Modelfile.txt", "Modelfile", USED),
    ("Modelfile", "Modelfile under another name: only Modelfile.txt is read", LEFT_OUT),
    ("adapter_model.gguf", "GGUF LoRA, made by a build", LEFT_OUT),
    ("ollama-pack.lock", "record of a build: what it was made of", LEFT_OUT),
    ("ollama-*.json", "manifest and configuration, made by a build", LEFT_OUT),
    ("adapter_model.bin", "adapter weights, a pickle: torch reads its tensors, and nothing else", USED),
    ("adapter_model.pt", "adapter weights of torchtune, a pickle", LEFT_OUT),
    ("*_adapters.safetensors", "adapter weights of mlx-lm, of an earlier step", LEFT_OUT),
    ("chat_template.jinja", "prompt format", LEFT_OUT),
    ("special_tokens_map.json", "tokenizer", LEFT_OUT),
    ("added_tokens.json", "tokenizer", LEFT_OUT),
    ("tokenizer*", "tokenizer", LEFT_OUT),
    ("vocab.*", "tokenizer", LEFT_OUT),
    ("merges.txt", "tokenizer", LEFT_OUT),
    ("*.md", "model card", LEFT_OUT),
    ("LICENSE*", "licence", LEFT_OUT),
    ("trainer_state.json", "training log", LEFT_OUT),
    ("optimizer.*", "training state, a pickle", LEFT_OUT),
    ("scheduler.pt", "training state, a pickle", LEFT_OUT),
    ("scaler.pt", "training state, a pickle", LEFT_OUT),
    ("rng_state*.pth", "training state, a pickle", LEFT_OUT),
    ("training_args.bin", "training arguments, a pickle", LEFT_OUT),
)
"""Name pattern, role, what a build does with it. The first that matches counts."""


@dataclass(frozen=True, slots=True)
class File:
    """One file or checkpoint of an adapter directory.

    Attributes:
        name: relative to the directory; a checkpoint ends in ``/``.
        role: what it is for, in words.
        use: ``used`` or ``left out``.
        size: in bytes, of all files in a checkpoint.
    """

    name: str
    role: str
    use: str
    size: int


def list_files(directory: Path) -> tuple[File, ...]:
    """Return what lies in a directory, used files first, then by name; links are not followed into.

    Raises:
        InputError: the directory is not there or cannot be read.
    """
    try:
        found = [_describe(path) for path in sorted(directory.iterdir()) if not path.name.startswith(".")]
    except OSError as error:
        raise InputError(f"Cannot read the directory: {error.strerror}.", where=directory) from error
    return tuple(sorted(found, key=lambda file: (file.use != USED, file.name.endswith("/"))))


def _describe(path: Path) -> File:
    if path.is_dir() and not path.is_symlink():
        size = sum(inner.lstat().st_size for inner in path.rglob("*") if inner.is_file())
        role = "checkpoint" if path.name.startswith("checkpoint-") else "directory"
        if role == "directory" and (path / CONFIG_FILE).is_file():
            role = f"another adapter: --adapter {path.name}"
        return File(f"{path.name}/", role, LEFT_OUT, size)
    for pattern, role, use in ROLES:
        if fnmatchcase(path.name, pattern):
            if path.name == PICKLE_FILE and path.with_name(WEIGHTS_FILE).exists():
                use = LEFT_OUT
            return File(path.name, role, use, path.lstat().st_size)
    return File(path.name, "unknown", LEFT_OUT, path.lstat().st_size)
