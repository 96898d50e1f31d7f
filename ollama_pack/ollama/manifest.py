"""The manifest of an Ollama model: its layers, their media types, and the configuration."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ollama_pack.errors import DestinationError
from ollama_pack.ollama.go_json import encode_go_json


@dataclass(frozen=True, slots=True)
class Layer:
    """One blob of an Ollama model.

    Attributes:
        media_type: ``application/vnd.ollama.image.adapter`` and its like.
        digest: ``sha256:`` and 64 hexadecimal digits.
        size: in bytes.
        content: the bytes, for small layers.
        file: the file that holds them, for large ones.
        origin: the model or file it was taken from (``from`` in a manifest).
    """

    media_type: str
    digest: str
    size: int
    content: bytes | None = None
    file: Path | None = None
    origin: str = ""


MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_IMAGE = "application/vnd.ollama.image."
MODEL_TYPE = f"{_IMAGE}model"
ADAPTER_TYPE = f"{_IMAGE}adapter"
TEMPLATE_TYPE = f"{_IMAGE}template"
SYSTEM_TYPE = f"{_IMAGE}system"
LICENSE_TYPE = f"{_IMAGE}license"
PARAMS_TYPE = f"{_IMAGE}params"
MESSAGES_TYPE = f"{_IMAGE}messages"


@dataclass(frozen=True, slots=True)
class BaseImage:
    """What a model is built on.

    Attributes:
        layers: of the base; a parameters layer comes with its content.
        config: the base's configuration.
    """

    layers: tuple[Layer, ...]
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Image:
    """A whole model, as a store or a registry keeps it.

    Attributes:
        layers: in the order of the manifest.
        config: the configuration, a layer of its own.
        manifest: its bytes.
    """

    layers: tuple[Layer, ...]
    config: Layer
    manifest: bytes

    @property
    def digest(self) -> str:
        """Return what Ollama lists as the model's digest: 64 hexadecimal digits."""
        return hashlib.sha256(self.manifest).hexdigest()


def parse_manifest(content: bytes, *, where: object) -> tuple[Layer, tuple[Layer, ...]]:
    """Return the configuration and the layers a manifest names.

    Raises:
        DestinationError: it is not a manifest of one model.
    """
    try:
        document = json.loads(content)
        config = _parse_layer(document["config"])
        return config, tuple(_parse_layer(entry) for entry in document["layers"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DestinationError("This is not the manifest of a model.", where=where) from error


def without_adapter(model: BaseImage) -> Image:
    """Return what a model is built on, as a model of its own: nothing of its prompt, and no adapter."""
    layers = tuple(layer for layer in model.layers if layer.media_type == MODEL_TYPE)
    config = _inline_layer(CONFIG_TYPE, encode_go_json(dict(model.config)))
    return Image(layers, config, _manifest(config, layers))


def inherited(layer: Layer, base_name: str, content: bytes | None = None) -> Layer:
    """Return a base's layer as the new model names it: taken from `base_name`."""
    return replace(layer, origin=base_name, content=content)


def has_adapter(layers: Iterable[Layer]) -> bool:
    """Return whether there is an adapter among the layers of a model."""
    return any(layer.media_type == ADAPTER_TYPE for layer in layers)


def _manifest(config: Layer, layers: Iterable[Layer]) -> bytes:
    return encode_go_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _layer_fields(config),
            "layers": [_layer_fields(layer) for layer in layers],
        }
    )


def _layer_fields(layer: Layer) -> dict[str, Any]:
    fields = {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}
    return fields | ({"from": layer.origin} if layer.origin else {})


def _inline_layer(media_type: str, content: bytes) -> Layer:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Layer(media_type, digest, len(content), content=content)


def _parse_layer(fields: Mapping[str, Any]) -> Layer:
    media_type, digest = str(fields["mediaType"]), str(fields["digest"])
    return Layer(media_type, digest, int(fields["size"]), origin=fields.get("from", ""))
