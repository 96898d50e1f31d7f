"""Reads a base that is not on this machine from the web, but only if ``--online`` is given.

Of a Hugging Face model, config.json is fetched; ``HF_ENDPOINT`` and ``HF_TOKEN`` have the same meaning as for
``huggingface_hub``. Of a model in an Ollama registry, the manifest and the header of the GGUF layer are
fetched. No weights are fetched.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ollama_pack.base.gguf_header import base_of_header
from ollama_pack.base.hf_cache import is_hub_id
from ollama_pack.base.hf_config import HfConfig
from ollama_pack.base.model import BaseModel, BaseWeights
from ollama_pack.errors import InputError
from ollama_pack.gguf.constants import MAGIC
from ollama_pack.gguf.reader import GgufFile, read_gguf
from ollama_pack.http.environment import check_address, read_token
from ollama_pack.http.fetch import read_document, read_range
from ollama_pack.http.loopback import is_loopback
from ollama_pack.ollama.manifest import MODEL_TYPE, is_digest
from ollama_pack.ollama.names import ModelName, parse_name
from ollama_pack.shown import shown_address

HUB = "https://huggingface.co"
MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
)

FIRST_READ, LARGEST_HEADER = 1 << 20, 64 << 20
"""The bytes of a header that are fetched first and at most; the largest vocabularies take 16 MB."""

LARGEST_MODEL = 1 << 42
"""An upper bound for the size of a GGUF layer in bytes; a manifest with a larger number is damaged."""


def find_online(text: str, environment: Mapping[str, str]) -> BaseModel | None:
    """Return the base of a Hugging Face id, else of an Ollama model, or None if neither exists.

    Args:
        text: the Hugging Face id or the name of the Ollama model.
        environment: the environment variables of the process.

    Raises:
        InputError: the config.json, the manifest or the GGUF header is damaged.
        UnsupportedError: the architecture has no row in the table of architectures.
        DestinationError: the server does not answer.
    """
    config = hub_config(text, environment)
    return registry_base(text) if config is None else replace(config.base(), source_id=text)


def hub_config(source_id: str, environment: Mapping[str, str]) -> HfConfig | None:
    """Return the config.json of a Hugging Face model, or None if there is no such model.

    Raises:
        UsageError: ``HF_ENDPOINT`` is not an address, or ``HF_TOKEN`` is not a token.
        InputError: the answer is not a config.json.
        DestinationError: the server does not answer, or the model is gated or private.
    """
    if not is_hub_id(source_id):
        return None
    hub = (environment.get("HF_ENDPOINT", "").strip() or HUB).rstrip("/")
    check_address(hub, "HF_ENDPOINT", f"HF_ENDPOINT={HUB}")
    token = read_token(environment, "HF_TOKEN")
    config, shown = f"{source_id}/resolve/main/config.json", shown_address(hub)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    values = read_document(f"{hub}/{config}", headers, where=f"{shown}/{config}")
    if values is None:
        return None
    return HfConfig(values, f"{shown}/{config}", f"config.json of {source_id} at {shown}")


def registry_base(text: str) -> BaseModel | None:
    """Return a model of an Ollama registry as a base, or None if there is no such model.

    Raises:
        InputError: the model has no GGUF layer, or a damaged one.
        UnsupportedError: no version of Ollama runs such a base any more.
        DestinationError: the registry does not answer.
    """
    try:
        name = parse_name(text)
    except InputError:
        return None
    address = f"{'http' if is_loopback(name.host.partition(':')[0]) else 'https'}://{name.host}"
    repository = f"{address}/v2/{name.namespace}/{name.model}"
    manifest = read_document(f"{repository}/manifests/{name.tag}", {"Accept": MANIFEST_TYPES})
    if manifest is None:
        return None
    digest, size = _weights(manifest, name)
    header = _fetch_header(f"{repository}/blobs/{digest}", size, name)
    return replace(
        base_of_header(header),
        tag=name.display,
        origin=f"header of {name.display} at {name.host}",
        weights=BaseWeights(size, header.shapes, header.types),
    )


def _weights(manifest: Mapping[str, Any], name: ModelName) -> tuple[str, int]:
    """Return the digest and the size in bytes of a model's GGUF layer.

    Raises:
        InputError: the manifest has no GGUF layer.
    """
    layers = manifest.get("layers")
    for layer in layers if isinstance(layers, list) else ():
        if isinstance(layer, Mapping) and layer.get("mediaType") == MODEL_TYPE:
            digest, size = layer.get("digest"), layer.get("size")
            if (
                isinstance(digest, str)
                and is_digest(digest)
                and type(size) is int
                and 0 < size < LARGEST_MODEL
            ):
                return digest, size
    raise InputError(f"{name} is not a GGUF model.", where=f"its manifest at {name.host}")


def _fetch_header(url: str, size: int, name: ModelName) -> GgufFile:
    """Return the header of a GGUF file in a registry; fetch more of the file until the header is complete.

    Raises:
        InputError: the file is damaged or missing.
        DestinationError: the registry does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="ollama-pack-") as folder:
        path = Path(folder) / "header.gguf"
        path.touch()
        have, wanted = 0, min(FIRST_READ, size)
        while True:
            piece = read_range(url, wanted - have, {}, start=have)
            if piece is None or len(piece) < wanted - have:
                raise InputError("The registry sends less of this file than its manifest says.", where=url)
            if not have and piece[:4] != MAGIC:
                raise InputError("The file is not GGUF.", where=url)
            with path.open("r+b") as file:
                file.seek(have)
                file.write(piece)
                file.truncate(size)  # the reader checks that all tensors lie inside the file
            have = wanted
            try:
                header = read_gguf(path)
                if have >= min((size, *header.offsets.values())):
                    return replace(header, path=Path(name.display))
            except InputError as error:
                if have == size:
                    raise InputError(error.what, where=url) from error
            if have in (size, LARGEST_HEADER):
                raise InputError(f"The header does not end within {have} bytes.", where=url)
            wanted = min(2 * wanted, LARGEST_HEADER, size)
