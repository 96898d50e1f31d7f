"""The models in a daemon's responses, as ``api/types.go`` of Ollama defines them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple, TypeAlias

from ollama_pack.formats.untrusted_json import as_list, as_mapping, as_text, as_whole, optional
from ollama_pack.ollama.manifest_list import runner_rank

_MOMENT = re.compile(r"(?P<second>[0-9T:-]{19})(?:\.(?P<part>[0-9]+))?(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})")

NEVER = datetime.fromtimestamp(0, timezone.utc)
"""Stands for a time of change that the daemon does not report."""


class Listed(NamedTuple):
    """A model as ``/api/tags`` lists it.

    Attributes:
        name: the name with its tag.
        digest: the SHA-256 of its manifest, 64 hexadecimal digits.
        changed: the time at which its manifest was written.
        size: the size of its blobs in bytes; 0 if the daemon does not report it.
        remote: whether the model runs in a cloud.
    """

    name: str
    digest: str
    changed: datetime
    size: int = 0
    remote: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A model as ``/api/show`` describes it.

    Attributes:
        modelfile: the Modelfile, in which blobs stand as paths.
        format: ``gguf``, or ``safetensors`` for models that run on MLX.
        remote: the host of a model that runs in a cloud; empty for a model of this daemon.
        metadata: the metadata of its GGUF header, without long lists.
        shapes: the shape of each tensor, rows first; empty if the daemon does not report tensors.
        types: the name of the ggml type of each tensor, as far as it is reported.
        template: the chat template of its GGUF if that is in force, else its TEMPLATE.
        system: its SYSTEM, or an empty string.
        messages: its MESSAGEs.
        family: the architecture that its configuration names.
    """

    modelfile: str
    format: str
    remote: str
    metadata: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    template: str = ""
    system: str = ""
    messages: "Objects" = ()
    family: str = ""
    types: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_adapter(self) -> bool:
        """Return whether the model has an adapter."""
        return "\nADAPTER " in self.modelfile


def read_listed(answer: Mapping[str, Any]) -> list[Listed]:
    """Return the models of a response of ``/api/tags`` or ``/api/ps``, each once.

    Ollama from 0.40 on lists a model again for every engine that it has a manifest for; the one for GGUF is
    returned.

    Raises:
        ValueError: the response has another form.
    """
    best: dict[str, tuple[int, Listed]] = {}
    for sent in as_list(answer.get("models"), "models"):
        fields = as_mapping(sent, "models")
        rank = runner_rank(optional(optional(fields, "details", {}), "runner", ""))
        model = Listed(
            name=optional(fields, "model", "") or optional(fields, "name", ""),
            digest=optional(fields, "digest", ""),
            changed=_moment(optional(fields, "modified_at", "")),
            size=optional(fields, "size", 0),
            remote=bool(optional(fields, "remote_host", "")),
        )
        if model.name not in best or rank < best[model.name][0]:
            best[model.name] = (rank, model)
    return [model for _, model in best.values()]


def _moment(text: str) -> datetime:
    """Return the time in a text of Go, with any number of digits behind the second, or `NEVER`."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return NEVER
    zone = match["zone"].replace("Z", "+00:00")
    try:
        found = datetime.fromisoformat(f"{match['second']}.{(match['part'] or '')[:6]:0<6}{zone}")
    except ValueError:
        return NEVER
    return found if found.year > 1 else NEVER


def read_shown(answer: Mapping[str, Any]) -> Shown:
    """Return the model that a response of ``/api/show`` describes.

    Fields that older daemons do not send become empty.

    Raises:
        ValueError: the response has another form.
    """
    tensors = [as_mapping(each, "tensors") for each in optional(answer, "tensors", [])]
    details = optional(answer, "details", {})
    return Shown(
        modelfile=optional(answer, "modelfile", ""),
        format=optional(details, "format", ""),
        remote=optional(answer, "remote_host", ""),
        metadata=optional(answer, "model_info", {}),
        shapes={
            as_text(each.get("name"), "tensors.name"): tuple(
                as_whole(extent, "tensors.shape") for extent in reversed(optional(each, "shape", []))
            )
            for each in tensors
        },
        template=optional(answer, "template", ""),
        system=optional(answer, "system", ""),
        messages=[as_mapping(each, "messages") for each in optional(answer, "messages", [])],
        family=optional(details, "family", ""),
        types={as_text(each.get("name"), "tensors.name"): optional(each, "type", "") for each in tensors},
    )


RENDERING_PATHS = ("/api/chat", "/v1/chat/completions")
"""The paths by which a daemon can be asked for a prompt: Ollama's own interface, and that of OpenAI."""


Objects: TypeAlias = Sequence[Mapping[str, Any]]
"""A list of JSON objects."""


def render_request(
    name: str, messages: Objects, path: str, tools: Objects | None = None
) -> Mapping[str, Any]:
    """Return the request for the prompt that a daemon makes of messages, without running the model.

    A daemon that is too old for this request answers the messages instead, with one token. By Ollama's own
    interface, a prompt that is longer than the context is an error; it is not shortened.

    Args:
        name: the name of the model.
        messages: the messages.
        path: one of `RENDERING_PATHS`.
        tools: the tools that the model may call.
    """
    question = {"model": name, "messages": list(messages), "_debug_render_only": True, "stream": False}
    question |= {"tools": list(tools)} if tools else {}
    if path == RENDERING_PATHS[0]:
        return {**question, "options": {"num_predict": 1, "num_ctx": 4096}, "truncate": False}
    return {**question, "max_tokens": 1}


def read_rendered(answer: Mapping[str, Any]) -> str | None:
    """Return the prompt in the answer to `render_request`, or None if the daemon does not tell it."""
    told = answer.get("_debug_info")
    return (
        as_text(as_mapping(told, "_debug_info").get("rendered_template"), "rendered_template")
        if told
        else None
    )
