"""From a base and a package to the layers, the configuration and the manifest Ollama would have made.

Nothing here touches a disk. The order of the layers, the fields of the configuration and what is inherited
follow ``server/create.go`` of Ollama 0.33: the base's layers as they are, the adapter, then template,
system prompt, licences, parameters and messages. One thing differs: the daemon counts the parameters of a
base anew (``model_type``); here the base's own word is kept, ``7B`` where the daemon would make it ``6.7B``.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ollama_pack.base.model import BaseModel
from ollama_pack.deliver.package import Package
from ollama_pack.errors import UnsupportedError
from ollama_pack.ollama.go_json import encode_go_json
from ollama_pack.ollama.manifest import (
    ADAPTER_TYPE,
    CONFIG_TYPE,
    LICENSE_TYPE,
    MESSAGES_TYPE,
    MODEL_TYPE,
    PARAMS_TYPE,
    SYSTEM_TYPE,
    TEMPLATE_TYPE,
    BaseImage,
    Image,
    Layer,
    _inline_layer,
    _manifest,
)

_MESSAGE_FIELDS = ("role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id")
_ARCH_DEFAULTS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "gemma4": ("gemma4", "gemma4", ("<turn|>",)),
    "laguna": ("laguna", "laguna", ()),
    "nemotron_h": ("nemotron-3-nano", "nemotron-3-nano", ()),
    "nemotron_h_moe": ("nemotron-3-nano", "nemotron-3-nano", ()),
    "nemotron_h_omni": ("nemotron-3-nano", "nemotron-3-nano", ()),
}
"""Architecture → renderer, parser and stop words Ollama sets of itself where nobody else did."""


def image_of_gguf(base: BaseModel, digest: str, size: int) -> BaseImage:
    """Return the base image of a GGUF file: one layer, and the configuration Ollama gives it.

    ``model_type`` (a parameter count, ``134.52M``) and ``file_type`` (``Q4_1``) are taken from
    ``base.details``. A chat template inside the file stays there: llama.cpp reads it itself.
    """
    config = {
        "model_format": "gguf",
        "model_family": base.hparams.arch,
        "model_families": [base.hparams.arch],
        "model_type": base.details.get("model_type", ""),
        "file_type": base.details.get("file_type", ""),
    }
    return BaseImage((Layer(MODEL_TYPE, digest, size, file=base.gguf),), config)


def build_image(package: Package, base: BaseImage) -> Image:
    """Return `package` on `base`, with the bytes Ollama itself would write.

    Raises:
        UnsupportedError: the base runs on an engine that ignores adapters, or in a cloud.
        InputError: a parameter or message that JSON cannot hold.
    """
    _check_base(base, package)
    renderer, parser, stop = _renderer_and_parser(package, base)
    parameters = dict(package.parameters)
    if stop and "stop" not in parameters:
        parameters["stop"] = stop
    layers = [*base.layers, _adapter_layer(package)]
    if package.template:
        layers = _replaced(layers, _inline_layer(TEMPLATE_TYPE, package.template.encode()))
    if package.system:
        layers = _replaced(layers, _inline_layer(SYSTEM_TYPE, package.system.encode()))
    layers += [_inline_layer(LICENSE_TYPE, text.encode()) for text in package.licenses]
    merged = {**_parameters(base.layers), **parameters}
    if merged:
        layers = _replaced(layers, _inline_layer(PARAMS_TYPE, encode_go_json(merged, sort_keys=True)))
    if package.messages:
        content = encode_go_json([_message(message) for message in package.messages])
        layers = _replaced(layers, _inline_layer(MESSAGES_TYPE, content))
    config = _inline_layer(CONFIG_TYPE, encode_go_json(_config(package, base, renderer, parser)))
    return Image(tuple(layers), config, _manifest(config, layers))


def check_kind(name: str, model_format: str, remote: str) -> None:
    """Refuse a base that would ignore an adapter: of another engine, or of a cloud.

    Args:
        name: of the base.
        model_format: of it; empty means GGUF.
        remote: the host of a model that runs elsewhere, empty where it runs here.

    Raises:
        UnsupportedError: it is such a base.
    """
    if remote:
        raise UnsupportedError(
            f"{name} runs on another machine ({remote}): it cannot take an adapter.",
            where=name,
            hint="a model that ollama pull brings here, or --base FILE.gguf",
        )
    if model_format not in ("gguf", ""):
        raise UnsupportedError(
            f"{name} is not a GGUF model ({model_format}): Ollama would ignore the adapter without a word.",
            where=name,
            hint=f"a GGUF variant of {name}, or --base FILE.gguf",
        )


def base_has_adapter_note(name: str) -> str:
    """Return what to tell about a base that has an adapter already."""
    return f"{name} has an adapter of its own: Ollama adds both to the base"


def _check_base(base: BaseImage, package: Package) -> None:
    name = package.base.tag or str(package.base.gguf)
    config = base.config
    check_kind(name, str(config.get("model_format") or ""), str(config.get("remote_host") or ""))


def _renderer_and_parser(package: Package, base: BaseImage) -> tuple[str, str, list[str]]:
    """Return renderer, parser and the stop words that come with them."""
    renderer = package.renderer or base.config.get("renderer", "")
    parser = package.parser or base.config.get("parser", "")
    defaults = _ARCH_DEFAULTS.get(str(base.config.get("model_family", "")))
    if defaults is None or (renderer and parser):
        return renderer, parser, []
    return renderer or defaults[0], parser or defaults[1], list(defaults[2])


def _adapter_layer(package: Package) -> Layer:
    adapter = package.adapter
    return Layer(ADAPTER_TYPE, adapter.digest, adapter.size, file=adapter.path, origin=adapter.path.name)


def _parameters(layers: Iterable[Layer]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for layer in layers:
        if layer.media_type == PARAMS_TYPE and layer.content:
            found = {**json.loads(layer.content), **found}
    return found


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    ordered = {field: message[field] for field in _MESSAGE_FIELDS if message.get(field)}
    return {"role": str(message["role"]).lower(), "content": message.get("content", "")} | {
        key: value for key, value in ordered.items() if key not in ("role", "content")
    }


def _config(package: Package, base: BaseImage, renderer: str, parser: str) -> dict[str, Any]:
    inherited, known = base.config, package.base.details
    family = inherited.get("model_family") or package.base.hparams.arch
    optional = {
        "renderer": renderer,
        "parser": parser,
        "requires": package.requires or inherited.get("requires", ""),
        "capabilities": inherited.get("capabilities"),
    }
    return {
        "model_format": inherited.get("model_format") or "gguf",
        "model_family": family,
        "model_families": inherited.get("model_families") or [family],
        "model_type": inherited.get("model_type") or known.get("model_type", ""),
        "file_type": inherited.get("file_type") or known.get("file_type", ""),
        **{key: value for key, value in optional.items() if value},
        "architecture": "amd64",
        "os": "linux",
    }


def _replaced(layers: Iterable[Layer], new: Layer) -> list[Layer]:
    return [layer for layer in layers if layer.media_type != new.media_type] + [new]
