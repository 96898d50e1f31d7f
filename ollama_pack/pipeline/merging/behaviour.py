"""Compares how a merged model behaves with its base and the adapter beside it."""

import tempfile
from pathlib import Path

from ollama_pack.disk.files import read_small
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.pipeline.prepare import BuildPlan
from ollama_pack.verify.behaviour import Behaviour, compare_behaviour

LARGEST_TEXT = 1 << 18
"""The largest text, in bytes, on which behaviour is compared; a longer one takes time and shows no more."""


def text_to_compare(work: BuildPlan, path: Path) -> str:
    """Return the text that two models are to read, once it is known that they can be compared.

    Raises:
        InputError: the file cannot be read, is too large, or is no text.
        UnsupportedError: no GGUF LoRA file holds all of the adapter.
        UsageError: llama.cpp is not installed.
    """
    from ollama_pack.gguf.ggml_library import find_ggml

    find_ggml()
    if work.adapter.beside:
        raise UnsupportedError(
            "Only a merged file holds all of this adapter, so there is nothing to compare it with.",
            where=work.adapter.directory,
            hint="leave out --kept-on",
            code="not-comparable",
        )
    try:
        return read_small(path, LARGEST_TEXT).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"This is not a text of at most {LARGEST_TEXT >> 10} KiB.",
            where=path,
            hint="--kept-on with a text in UTF-8, such as some prompts and answers of the training",
            code="no-text",
        ) from error


def behaviour_of(work: BuildPlan, merged: Path, text: str) -> Behaviour:
    """Return how closely a merged model behaves like its base with the adapter.

    Raises:
        UnsupportedError: llama.cpp does not run one of the models.
    """
    from ollama_pack.gguf.ggml_library import find_ggml
    from ollama_pack.lora.export import write_lora

    assert work.base.gguf is not None, "only a file can be merged into"
    with tempfile.TemporaryDirectory() as folder:
        adapter = Path(folder) / "adapter.gguf"
        write_lora(work.plan, adapter, "f32")
        return compare_behaviour(find_ggml(), (work.base.gguf, adapter, merged), text)
