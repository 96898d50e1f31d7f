"""The manifest of an Ollama model: its layers, their media types, and its configuration.

The format is that of Ollama's ``manifest/manifest.go`` and ``types/model/config.go``.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ollama_pack.errors import DestinationError
from ollama_pack.formats.go_json import encode_go_json
from ollama_pack.formats.untrusted_json import as_list, as_mapping, as_text, optional, parse_object


class Layer(NamedTuple):
    """One blob of an Ollama model.

    Attributes:
        media_type: the media type, such as ``application/vnd.ollama.image.adapter``.
        digest: ``sha256:`` and 64 hexadecimal digits.
        size: the size in bytes.
        content: the bytes of a small layer, or None.
        file: the file that holds the bytes of a large layer, or None.
        origin: the model or file that the layer was taken from (``from`` in a manifest), or an empty string.
    """

    media_type: str
    digest: str
    size: int
    content: bytes | None = None
    file: Path | None = None
    origin: str = ""

    @property
    def kind(self) -> str:
        """Return the name of the layer in plans and progress: ``model``, ``adapter``, ``configuration``."""
        kind = self.media_type.rpartition(".")[2]
        return "configuration" if kind == "v1+json" else kind


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


_ANCHORED = (MANIFEST_TYPE, "application/vnd.ollama.manifest.list.v2+json")
"""The types of layers that are no part of a model: they keep older versions of Ollama from pruning blobs."""


class BaseImage(NamedTuple):
    """The base of a model, as a store or a daemon has it.

    Attributes:
        layers: the layers of the base; only a parameters layer has its content.
        config: the configuration of the base.
    """

    layers: tuple[Layer, ...]
    config: Mapping[str, Any]


class Image(NamedTuple):
    """A whole model, as a store or a registry keeps it.

    Attributes:
        layers: the layers, in the order of the manifest.
        config: the layer with the configuration.
        manifest: the bytes of the manifest.
    """

    layers: tuple[Layer, ...]
    config: Layer
    manifest: bytes

    @property
    def digest(self) -> str:
        """Return the digest of the model: the SHA-256 of its manifest, 64 hexadecimal digits."""
        return hashlib.sha256(self.manifest).hexdigest()


def parse_manifest(content: bytes, *, where: object, hint: str = "") -> tuple[Layer, tuple[Layer, ...]]:
    """Return the configuration and the layers that a manifest names.

    Args:
        content: the bytes of the manifest.
        where: the place of the manifest, for the error message.
        hint: what helps if it is damaged, for the error message.

    Raises:
        DestinationError: the content is not the manifest of one model.
    """
    try:
        document = parse_object(content)
        config = _parse_layer(document.get("config"), "config")
        layers = tuple(_parse_layer(each, "layers") for each in as_list(document.get("layers"), "layers"))
        return config, tuple(layer for layer in layers if layer.media_type not in _ANCHORED)
    except ValueError as error:
        raise not_a_manifest(where, hint) from error


def is_digest(text: str) -> bool:
    """Return whether a text is a digest, which may become the name of a file or a part of a URL."""
    return _LAYER_DIGEST.fullmatch(text) is not None


def not_a_manifest(where: object, hint: str = "") -> DestinationError:
    """Return the error for content that is not the manifest of a model."""
    return DestinationError("This is not the manifest of a model.", where=where, hint=hint)


def without_adapter(model: BaseImage) -> Image:
    """Return a model that consists of the weights of a base alone, without prompt and adapter."""
    layers = tuple(layer for layer in model.layers if layer.media_type == MODEL_TYPE)
    known = {key: value for key, value in model.config.items() if key not in ("renderer", "parser")}
    config = inline_layer(CONFIG_TYPE, encode_go_json(known))
    return Image(layers, config, _manifest(config, layers))


def inherited(layer: Layer, base_name: str, content: bytes | None = None) -> Layer:
    """Return a layer of the base as the new model names it, with `base_name` as its origin."""
    return layer._replace(origin=base_name, content=content)


def has_adapter(layers: Iterable[Layer]) -> bool:
    """Return whether one of the layers is an adapter."""
    return any(layer.media_type == ADAPTER_TYPE for layer in layers)


def _manifest(config: Layer, layers: Iterable[Layer]) -> bytes:
    """Return the bytes of a manifest, as Ollama writes it."""
    return encode_go_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _layer_fields(config),
            "layers": [_layer_fields(layer) for layer in layers],
        }
    )


def _layer_fields(layer: Layer) -> dict[str, Any]:
    """Return a layer as a manifest has it."""
    fields = {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}
    return fields | ({"from": layer.origin} if layer.origin else {})


def inline_layer(media_type: str, content: bytes) -> Layer:
    """Return a small layer that holds its content."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Layer(media_type, digest, len(content), content=content)


def _parse_layer(value: object, key: str) -> Layer:
    """Return a layer; raise ValueError if its digest, which becomes the name of a file, is not one."""
    fields = as_mapping(value, key)
    media_type, digest = (
        as_text(fields.get("mediaType"), "mediaType"),
        as_text(fields.get("digest"), "digest"),
    )
    if not is_digest(digest):
        raise ValueError(digest)
    return Layer(media_type, digest, optional(fields, "size", 0), origin=optional(fields, "from", ""))


_LAYER_DIGEST = re.compile(r"sha256[:-][0-9a-f]{64}")
