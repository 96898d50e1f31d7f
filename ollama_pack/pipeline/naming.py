"""The name of a model, derived from the directory of its adapter."""

import re
from collections.abc import Sequence
from pathlib import Path

from ollama_pack.base.hf_cache import repository_of
from ollama_pack.lora.peft.run_directory import step_of
from ollama_pack.ollama.names import (
    DEFAULT_HOST,
    DEFAULT_NAMESPACE,
    DEFAULT_TAG,
    FALLBACK_MODEL,
    ModelName,
    is_cloud_tag,
    legal_part,
    typed_name,
)
from ollama_pack.pipeline.output_dir import is_output
from ollama_pack.pipeline.request import Request

_ADAPTER_SUFFIX = re.compile(r"(?<=.)[-_.](q?lora|adapter)$", re.IGNORECASE)


def model_name(request: Request) -> ModelName:
    """Return the name of a model: the one that was asked for, else one derived from its directories.

    Raises:
        InputError: Ollama would refuse the name.
    """
    if request.name:
        return typed_name(request.name)
    return name_from_directories(request.directories, request.adapter)


def name_from_directories(paths: Sequence[Path], adapter: str = "") -> ModelName:
    """Return the name that a model gets from the directories of its adapters and the name of the adapter.

    ``ada-lora/`` and ``babbage-lora/`` → ``ada-babbage``; with the adapter ``style`` → ``ada-babbage:style``.
    """
    name = name_from_directory(paths[0])
    models = [name.model, *(name_from_directory(path).model for path in paths[1:])]
    tag = legal_part("tag", adapter).lower() if adapter and adapter != "default" else name.tag
    joined = legal_part("model", "-".join(models))
    return ModelName(name.host, name.namespace, joined, name.tag if is_cloud_tag(tag) or not tag else tag)


def name_from_directory(path: Path) -> ModelName:
    """Return the name that a model gets from the directory of its adapter.

    ``ada-lovelace-lora/`` → ``ada-lovelace``; ``checkpoint-3/`` in it → ``ada-lovelace:checkpoint-3``. The
    files of a build in ``ollama/`` have the name of the directory around them, and a snapshot in the cache of
    Hugging Face has that of its repository. Names are in lower case, accents are dropped, and each character
    that Ollama refuses becomes ``-``.
    """
    named = path if path.name not in ("", "..") else path.resolve()
    named = named.absolute().parent if is_output(named) else named
    if step_of(named) is not None:
        run = named.absolute().parent
        if run.name and run.name != "..":
            return ModelName(DEFAULT_HOST, DEFAULT_NAMESPACE, _model_from(run), named.name.lower())
    return ModelName(DEFAULT_HOST, DEFAULT_NAMESPACE, _model_from(named), DEFAULT_TAG)


def _model_from(directory: Path) -> str:
    """Return the model part of a name: the directory's name without suffixes such as ``-lora``."""
    name = repository_of(directory.absolute()) or directory.name
    shorter = _ADAPTER_SUFFIX.sub("", name)
    while shorter != name:
        name, shorter = shorter, _ADAPTER_SUFFIX.sub("", shorter)
    return legal_part("model", name).lower() or FALLBACK_MODEL
