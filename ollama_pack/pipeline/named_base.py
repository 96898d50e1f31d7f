"""Checks the base of a request before anything is converted: name, sizes, and the last build's lock."""

import contextlib
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ollama_pack.base.catalog import CATALOG
from ollama_pack.base.expected import ExpectedBase
from ollama_pack.base.hf_cache import is_hub_id
from ollama_pack.base.lookup import find_entry
from ollama_pack.base.model import BaseModel
from ollama_pack.disk.files import sha256_of_file
from ollama_pack.errors import DestinationError, InputError
from ollama_pack.ollama.names import parse_name
from ollama_pack.pipeline.inputs import BuildInputs
from ollama_pack.pipeline.lock import describe_base_change
from ollama_pack.pipeline.request import Request


def check_named_base(
    inputs: BuildInputs, base: BaseModel, trained: ExpectedBase, earlier: Mapping[str, Any]
) -> tuple[BaseModel, str]:
    """Return a base with a note for each mismatch, and a text on how it changed since the last build.

    Only what is known before the base is opened is compared.

    Args:
        inputs: the resolved request.
        base: the base that the request, the author or the adapter names.
        trained: what is known of the base that the adapter was trained on.
        earlier: the lock of the last build.

    Raises:
        ProofError: it is not that base, or it may not be and the request is strict.
    """
    from ollama_pack.verify.base_mismatch import mismatch_of, stop_at_mismatches
    from ollama_pack.verify.base_named import compare_named_base

    mismatches = list(compare_named_base(trained, base))
    change = _moved(inputs, base, earlier)
    if change:
        mismatches.append(mismatch_of("moved", "", change))
    name = base.tag or base.source_id or "the base"
    whose = "" if base.origin == CATALOG else f", with the sizes of {base.origin},"
    lines = stop_at_mismatches(trained, mismatches, name + whose)
    return replace(base, notes=(*base.notes, *lines)), change


def recorded_manifest(earlier: Mapping[str, Any], base: BaseModel) -> str:
    """Return the digest that the manifest of the base had at the last build; empty if that is unknown."""
    recorded = earlier.get("base")
    if not isinstance(recorded, Mapping) or recorded.get("tag") != base.tag:
        return ""
    return str(recorded.get("manifest") or "")


def _moved(inputs: BuildInputs, base: BaseModel, earlier: Mapping[str, Any]) -> str:
    """Return that the base has other weights than at the last build, or an empty text.

    A GGUF file is read in full for this, so only if the request is strict.
    """
    if not isinstance(earlier.get("base"), Mapping):
        return ""
    if base.gguf is not None:
        strict = inputs.request.strict
        return describe_base_change(earlier, base.tag, blob=sha256_of_file(base.gguf)) if strict else ""
    from ollama_pack.base.installed import look_up

    with contextlib.suppress(InputError, DestinationError):  # it is not installed, or Ollama is not there
        found = look_up(inputs.locations, parse_name(base.tag))
        return describe_base_change(earlier, base.tag, blob=found.blob, manifest=found.digest)
    return ""


def ways_to_a_base(source_id: str, request: Request) -> str:
    """Return the commands that build on a base of which no Ollama model is known, one a line.

    A GGUF file on Hugging Face is named if the catalog knows one; else the file is made of the model itself.
    With its GGUF file, a base runs in every version of Ollama. From safetensors, newer versions make another
    kind of model, which ignores an adapter.
    """
    entry = find_entry(source_id) if source_id else None
    if entry is not None and entry.hub_gguf:
        return _build_command(request, f"hf.co/{entry.hub_gguf}")
    if not is_hub_id(source_id):
        return "--base BASE, with its GGUF file or with an Ollama model that you made of it"
    name = source_id.rpartition("/")[2]
    lines = (
        f"hf download {source_id} --local-dir {name}",
        f"python llama.cpp/convert_hf_to_gguf.py {name} --outfile {name}.gguf --outtype q8_0",
        _build_command(request, f"{name}.gguf"),
        "or, if Hugging Face has a GGUF file of it, --base hf.co/OWNER/REPO-GGUF:Q4_K_M",
    )
    return "\n       ".join(lines)


def _build_command(request: Request, base: str) -> str:
    """Return the command that builds the same request on another base."""
    words = ["ollama-pack", "build", *map(str, request.directories)]
    words += [request.name] if request.name else []
    words += ["--base", base]
    words += ["--via", request.via] if request.via != "auto" else []
    words += ["--out", str(request.out)] if request.out is not None else []
    words += ["--store", str(request.store)] if request.store is not None else []
    return shlex.join(words)
