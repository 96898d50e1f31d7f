"""Checks the base of a request before anything is converted: name, sizes, and the last build's lock."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ollama_pack.base.expected import ExpectedBase
from ollama_pack.base.installed import look_up
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import DestinationError, InputError
from ollama_pack.files import sha256_of_file
from ollama_pack.ollama.names import parse_name
from ollama_pack.pipeline.inputs import BuildInputs
from ollama_pack.pipeline.lock import describe_base_change, read_lock


def check_named_base(inputs: BuildInputs, base: BaseModel, trained: ExpectedBase) -> BaseModel:
    """Return a base with notes about what speaks against it, as far as that is known before it is opened.

    Args:
        inputs: the resolved request.
        base: the base that the request, the author or the adapter names.
        trained: what is known of the base that the adapter was trained on.

    Raises:
        ProofError: it is not that base, or it may not be and the request is strict.
    """
    from ollama_pack.verify.base import mismatch_of, stop_at_mismatches
    from ollama_pack.verify.base_named import compare_named_base

    mismatches = list(compare_named_base(trained, base))
    if change := _moved(inputs, base, read_lock(inputs.output_dir)):
        mismatches.append(mismatch_of("moved", "", change))
    name = base.tag or base.source_id or "the base"
    lines = stop_at_mismatches(trained, mismatches, f"{name}, with the sizes of {base.origin},")
    return replace(base, notes=(*base.notes, *lines))


def _moved(inputs: BuildInputs, base: BaseModel, earlier: Mapping[str, Any]) -> str:
    """Return that the base has other weights than at the last build, or an empty text.

    A GGUF file is read in full for this, so only if the request is strict.
    """
    if not isinstance(earlier.get("base"), Mapping):
        return ""
    if base.gguf is not None:
        strict = inputs.request.strict
        return describe_base_change(earlier, base.tag, blob=sha256_of_file(base.gguf)) if strict else ""
    with contextlib.suppress(InputError, DestinationError):  # it is not installed, or Ollama is not there
        found = look_up(inputs.locations, parse_name(base.tag))
        return describe_base_change(earlier, base.tag, blob=found.blob, manifest=found.digest)
    return ""
