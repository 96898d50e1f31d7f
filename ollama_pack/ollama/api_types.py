"""The models in a daemon's responses, as ``api/types.go`` of Ollama defines them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ollama_pack.ollama.manifest_list import runner_rank

NEVER = datetime.fromtimestamp(0, timezone.utc)
"""Stands for a time of change that the daemon does not report."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as ``/api/tags`` lists it.

    Attributes:
        name: the name with its tag.
        digest: the SHA-256 of its manifest, 64 hexadecimal digits.
        changed: the time at which its manifest was written.
        size: the size of its blobs in bytes; 0 if it is not told.
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
    """

    modelfile: str
    format: str
    remote: str
    metadata: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def has_adapter(self) -> bool:
        """Return whether the model has an adapter."""
        return "\nADAPTER " in self.modelfile


def read_listed(entries: Iterable[Any], fields: Iterable[Mapping[str, Any]]) -> list[Listed]:
    """Return the models of a response of ``/api/tags``, each once.

    Ollama from 0.40 on lists a model again for every engine that it has a manifest for; the one for GGUF is
    returned.

    Args:
        entries: the models, as the client parsed them.
        fields: the same as the daemon sent them; the client drops ``details.runner``, which names the engine.
    """
    best: dict[str, tuple[int, Listed]] = {}
    for entry, sent in zip(entries, fields, strict=True):
        rank = runner_rank(str((sent.get("details") or {}).get("runner") or ""))
        size, remote = int(sent.get("size") or 0), bool(sent.get("remote_host"))
        changed = entry.modified_at or NEVER
        model = Listed(entry.model or "", entry.digest or "", changed, size, remote)
        if model.name not in best or rank < best[model.name][0]:
            best[model.name] = (rank, model)
    return [model for _, model in best.values()]


def read_shown(answer: Mapping[str, Any]) -> Shown:
    """Return the model that a response of ``/api/show`` describes.

    Fields that older daemons do not send become empty.

    Raises:
        KeyError: the response has another form; TypeError and AttributeError mean the same.
    """
    return Shown(
        modelfile=str(answer.get("modelfile") or ""),
        format=str((answer.get("details") or {}).get("format") or ""),
        remote=str(answer.get("remote_host") or ""),
        metadata=answer.get("model_info") or {},
        shapes={
            str(tensor["name"]): tuple(reversed(tensor.get("shape") or ()))
            for tensor in answer.get("tensors") or ()
        },
    )
