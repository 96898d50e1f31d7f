"""What the CNCF's ModelPack requires of a manifest, so that KitOps and modctl read a release too.

See "A release is a ModelPack" in docs/decisions.md.
"""

import json
from collections.abc import Sequence

from ollama_pack.ollama.manifest import Layer
from ollama_pack.ollama.store_layout import digest_of_bytes

MODEL_PACK = "application/vnd.cncf.model.manifest.v1+json"
FILE_PATH = "org.cncf.model.filepath"
"""The annotation of a layer with the path of its file."""

_PACK_CONFIG = "application/vnd.cncf.model.config.v1+json"
_PACK_WEIGHTS = "application/vnd.cncf.model.weight.v1.raw"
_PACK_SETTINGS = "application/vnd.cncf.model.weight.config.v1.raw"
_PACK_PAPERS = "application/vnd.cncf.model.doc.v1.raw"
_PACK_SETTINGS_NAMES = {"Modelfile.txt", "ollama-config.json", "ollama-manifest.json"}


def type_of_file(name: str) -> str:
    """Return the media type of a file of a release: weights, settings of the model, or a document."""
    if name.endswith(".gguf"):
        return _PACK_WEIGHTS
    return _PACK_SETTINGS if name in _PACK_SETTINGS_NAMES else _PACK_PAPERS


def model_config(name: str, family: str, digests: Sequence[str]) -> Layer:
    """Return the configuration of a model; the same files give the same bytes.

    Args:
        name: the name of the model.
        family: its architecture, as GGUF calls it, or an empty text.
        digests: the digests of its files, in the order of the layers.

    Example:
        >>> model_config("ada:1", "llama", ["sha256:" + "0" * 64]).size
        189
    """
    known = {"family": family, "name": name}
    document = {
        "config": {"format": "gguf"},
        "descriptor": {key: value for key, value in known.items() if value},
        "modelfs": {"diffIds": list(digests), "type": "layers"},
    }
    content = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    return Layer(_PACK_CONFIG, digest_of_bytes(content), len(content), content=content)
