"""Shows a GGUF file or an installed model in ``inspect``: the facts that the proof of the base compares."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ollama_pack.cli.output import print_json
from ollama_pack.cli.say import say
from ollama_pack.errors import DestinationError, InputError, UsageError

if TYPE_CHECKING:
    from ollama_pack.gguf.model_info import ModelInfo


LABEL_WIDTH = 14
_SHOWN_NUMBERS = {
    "blocks": "{}.block_count",
    "hidden": "{}.embedding_length",
    "heads": "{}.attention.head_count",
    "kv_heads": "{}.attention.head_count_kv",
    "feed_forward": "{}.feed_forward_length",
    "rope_base": "{}.rope.freq_base",
    "context": "{}.context_length",
}

_TEXTS = {
    "name": "general.name",
    "finetune": "general.finetune",
    "tokenizer": "tokenizer.ggml.model",
    "pre_tokenizer": "tokenizer.ggml.pre",
}


def is_base(path: Path) -> bool:
    """Return whether the argument of `inspect` is a file, or the name of a model instead of a directory."""
    return path.is_file() or is_model(path)


def is_model(path: Path) -> bool:
    """Return whether the argument of `inspect` is nothing on disk, and may be the name of a model."""
    named = len(path.parts) <= len(("namespace", "model:tag")) and path.parts[:1] not in ((), ("..",), ("~",))
    return named and not path.is_absolute() and not path.exists()


def show_base(path: Path, store: Path | None, *, as_json: bool) -> None:
    """Print the facts of a GGUF file or of an installed model.

    Args:
        path: the path of the file, or the name of the model.
        store: the model store that the user named, or None.
        as_json: whether to print JSON.

    Raises:
        PackError: the file or model does not exist, or is damaged.
    """
    facts: dict[str, Any]
    if path.is_file():
        from ollama_pack.gguf.model_info import read_model_info

        facts = {"where": path.as_posix(), **model_facts(read_model_info(path))}
    else:
        from ollama_pack.base.installed import look_up
        from ollama_pack.ollama.locations import locations_from
        from ollama_pack.ollama.names import parse_name

        try:
            installed = look_up(locations_from(os.environ, store=store), parse_name(str(path)))
        except (InputError, DestinationError) as error:
            raise UsageError(
                f"There is no directory or file {path}, and {error.clause}.",
                where=error.where,
                hint=error.hint,
                code="no-such-directory",
            ) from error
        facts = {
            "where": installed.place,
            "manifest": f"sha256:{installed.digest}",
            "blob": installed.blob,
            "has_adapter": installed.has_adapter,
            **model_facts(installed.seen),
        }
    if as_json:
        print_json("base", facts)
        return
    for key, value in facts.items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        if value not in ("", None, False, {}):
            say(text, f"{key.replace('_', ' '):<{LABEL_WIDTH}}")


def model_facts(info: "ModelInfo") -> dict[str, Any]:
    """Return the facts that the proof of the base compares; unknown ones are None or empty."""
    arch = str(info.metadata.get("general.architecture", ""))
    facts: dict[str, Any] = {"model": info.name, "architecture": arch}
    facts |= {name: info.metadata.get(key) for name, key in _TEXTS.items()}
    facts |= {name: info.metadata.get(key.format(arch)) for name, key in _SHOWN_NUMBERS.items()}
    facts["tensors"] = len(info.shapes)
    tokens = info.vocabulary.tokens if info.vocabulary else {}
    special = info.vocabulary.special if info.vocabulary else {}
    facts["tokens"] = len(tokens) or None
    facts["special"] = {kind: f"{number} {tokens.get(number, '')!r}" for kind, number in special.items()}
    return facts
