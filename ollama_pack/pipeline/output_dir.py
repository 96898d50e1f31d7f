"""Where the files of a build go, so that nothing is changed that its user wrote or downloaded.

See "A build writes into a directory of its own" in docs/decisions.md.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from ollama_pack.base.hf_cache import is_downloaded
from ollama_pack.disk.files import home_directory
from ollama_pack.errors import RefusedError
from ollama_pack.lora.peft.run_directory import CONFIG_FILE
from ollama_pack.modelfile import MODELFILE_NAME
from ollama_pack.ollama.names import DEFAULT_TAG, ModelName

OUTPUT_NAME = "ollama"
"""The directory, beside the files of an adapter, that a build writes into by default."""


def is_output(directory: Path) -> bool:
    """Return whether a directory is, by its name, the one that a build made beside an adapter."""
    return directory.name == OUTPUT_NAME and not holds_adapter(directory)


def holds_adapter(directory: Path) -> bool:
    """Return whether a directory has an adapter_config.json; False if the directory cannot be read."""
    try:
        return (directory / CONFIG_FILE).is_file()
    except OSError:  # it is reported where it is read or written
        return False


def built_folder(directory: Path) -> Path:
    """Return the directory with the files of a build: ``ollama/`` in that of an adapter, else `directory`."""
    beside = directory / OUTPUT_NAME
    return beside if holds_adapter(directory) and (beside / MODELFILE_NAME).is_file() else directory


def adapter_home(folder: Path) -> Path:
    """Return the directory with the tokenizer of a build: that of the adapter around it, else `folder`."""
    around = folder.absolute().parent
    return around if is_output(folder) and holds_adapter(around) else folder


def default_output_dir(home: Path, name: ModelName, environment: Mapping[str, str]) -> tuple[Path, str]:
    """Return the directory that a build writes into by default, and why it is not beside the adapter.

    It is ``ollama/`` in the directory of the adapter. If that directory must not be changed, it is
    ``NAME/ollama/`` in the working directory, with the tag of the name between the two. If that must not be
    changed either, it is the same in the user's own directory for data.

    Args:
        home: the directory of the adapter.
        name: the name of the model.
        environment: the environment variables, which name the cache of Hugging Face.
    """
    beside = home / OUTPUT_NAME
    reason = why_not_ours(beside if beside.is_dir() else home, environment)
    if not reason:
        return beside, ""
    tag = () if name.tag == DEFAULT_TAG else (name.tag,)
    place = _data_home(environment) if why_not_ours(Path(), environment) else Path()
    return place.joinpath(name.model, *tag, OUTPUT_NAME), reason


def why_not_ours(directory: Path, environment: Mapping[str, str]) -> str:
    """Return why a build must not write into a directory by itself, or an empty text if it may."""
    if is_downloaded(directory, environment):
        return "the adapter is in a cache of downloads"
    # The permission bits count too, because `os.access` says that root may write everywhere.
    if not directory.stat().st_mode & 0o222 or not os.access(directory, os.W_OK):
        return "the directory of the adapter is read-only"
    return ""


def _data_home(environment: Mapping[str, str]) -> Path:
    """Return the user's own directory for data, as freedesktop.org names it."""
    base = Path(environment.get("XDG_DATA_HOME", ""))
    return (base if base.is_absolute() else home_directory() / ".local" / "share") / "ollama-pack"


def require_own_output_dir(output_dir: Path) -> None:
    """Require that no adapter is in the output directory of a build.

    Raises:
        RefusedError: there is one. A Modelfile.txt there is its author's.
    """
    if holds_adapter(output_dir):
        raise RefusedError(
            "The output directory holds an adapter. A Modelfile.txt there is its author's, and a build would "
            "replace it.",
            where=output_dir,
            hint="--out DIR, with a directory of its own",
            code="adapter-in-output",
        )
