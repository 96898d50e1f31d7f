"""What a daemon tells of its models."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

NEVER = datetime.fromtimestamp(0, timezone.utc)


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as ``/api/tags`` lists it.

    Attributes:
        name: with its tag.
        digest: of its manifest.
        changed: when its manifest was written.
    """

    name: str
    digest: str
    changed: datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """A model as ``/api/show`` describes it.

    Attributes:
        modelfile: its blobs stand there as paths.
        format: ``gguf``, or ``safetensors`` for models that run on MLX.
        remote: the host of a model that runs elsewhere, in a cloud; else empty.
        metadata: of its GGUF header, without long lists.
        shapes: of its tensors, rows first; none where the daemon does not tell them.
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


def read_shown(said: Mapping[str, Any]) -> Shown:
    """Return what an answer of ``/api/show`` means; old daemons leave out what they do not know.

    Raises:
        KeyError: it has not the form of one, as TypeError and AttributeError say too.
    """
    return Shown(
        modelfile=str(said.get("modelfile") or ""),
        format=str((said.get("details") or {}).get("format") or ""),
        remote=str(said.get("remote_host") or ""),
        metadata=said.get("model_info") or {},
        shapes={
            str(tensor["name"]): tuple(reversed(tensor.get("shape") or ()))
            for tensor in said.get("tensors") or ()
        },
    )
