"""What ``inspect`` shows of a base, a GGUF file or an installed model: what the base proof would see."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli.output import print_json
from ollama_pack.errors import DestinationError, InputError, printable

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
    """Return whether `inspect` is given a base: a file, or the name of a model, where no directory is."""
    named = len(path.parts) <= len(("namespace", "model:tag")) and path.parts[:1] not in ((), ("..",), ("~",))
    return path.is_file() or (named and not path.is_absolute() and not path.exists())


def show_base(path: Path, store: Path | None, *, as_json: bool) -> None:
    """Print what a GGUF file or an installed model is.

    Raises:
        PackError: it is not there, or damaged.
    """
    facts: dict[str, Any]
    if path.is_file():
        from ollama_pack.gguf.model_info import read_model_info

        facts = {"where": path.as_posix(), **seen_facts(read_model_info(path))}
    else:
        from ollama_pack.base.installed import look_up
        from ollama_pack.ollama.locations import locations_from
        from ollama_pack.ollama.names import parse_name

        try:
            found = look_up(locations_from(os.environ, store=store), parse_name(str(path)))
        except (InputError, DestinationError) as error:
            raise InputError(
                f"There is neither a directory nor a file {path}, nor such a model: {error.clause}.",
                where=error.where,
                hint=error.hint,
            ) from error
        digests = {"manifest": f"sha256:{found.digest}", "blob": found.blob}
        facts = {"where": found.place, **digests, "has_adapter": found.has_adapter, **seen_facts(found.seen)}
    if as_json:
        print_json("base", facts)
        return
    for key, value in facts.items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        if value not in ("", None, False, {}):
            click.echo(f"{key.replace('_', ' '):<{LABEL_WIDTH}}{printable(text)}")


def seen_facts(seen: "ModelInfo") -> dict[str, Any]:
    """Return what the base proof compares."""
    arch = str(seen.metadata.get("general.architecture", ""))
    facts: dict[str, Any] = {"model": seen.name, "architecture": arch}
    facts |= {name: seen.metadata.get(key) for name, key in _TEXTS.items()}
    facts |= {name: seen.metadata.get(key.format(arch)) for name, key in _SHOWN_NUMBERS.items()}
    facts["tensors"] = len(seen.shapes)
    tokens = seen.vocabulary.tokens if seen.vocabulary else {}
    special = seen.vocabulary.special if seen.vocabulary else {}
    facts["tokens"] = len(tokens) or None
    facts["special"] = {kind: f"{number} {tokens.get(number, '')!r}" for kind, number in special.items()}
    return facts
