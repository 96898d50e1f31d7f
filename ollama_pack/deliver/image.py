"""Builds the layers, the configuration and the manifest that Ollama would make of a package and its base.

Nothing here reads or writes files. The order of the layers, the fields of the configuration and what is
inherited follow ``server/create.go`` of Ollama 0.33: the base's layers unchanged, the adapter, then template,
system prompt, licences, parameters and messages. There is one difference: the daemon computes ``model_type``
again from the base's parameter count, here the base's value is kept (``7B``, not ``6.7B``).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ollama_pack.base.model import BaseModel
from ollama_pack.deliver.package import Package
from ollama_pack.errors import UnsupportedError
from ollama_pack.formats.go_json import encode_go_json
from ollama_pack.formats.untrusted_json import parse_object
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
    _manifest,
    inline_layer,
)

_MESSAGE_FIELDS = ("role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id")
_ARCH_DEFAULTS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "gemma4": ("gemma4", "gemma4", ("<turn|>",)),
    "laguna": ("laguna", "laguna", ()),
    "nemotron_h": ("nemotron-3-nano", "nemotron-3-nano", ()),
    "nemotron_h_moe": ("nemotron-3-nano", "nemotron-3-nano", ()),
    "nemotron_h_omni": ("nemotron-3-nano", "nemotron-3-nano", ()),
}
"""Architecture → the renderer, parser and stop words that Ollama sets if the model and its base set none."""

_REMOVABLE_TYPES: Mapping[str, str] = {"template": TEMPLATE_TYPE, "system": SYSTEM_TYPE}


def image_of_gguf(base: BaseModel, digest: str, size: int) -> BaseImage:
    """Return the base image of a GGUF file: one layer, and the configuration that Ollama would give it.

    ``model_type`` (a parameter count, ``134.52M``) and ``file_type`` (``Q4_1``) are taken from
    ``base.details``. A chat template inside the file needs no layer: llama.cpp reads it from the file.
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
    """Return the image of `package` on `base`, with the bytes that Ollama itself would write.

    Raises:
        UnsupportedError: the base runs on an engine that ignores adapters, or in the cloud.
        InputError: JSON cannot hold a parameter or a message.
    """
    _check_base(base, package)
    renderer, parser, stop = _renderer_and_parser(package, base)
    parameters = dict(package.parameters)
    if stop and "stop" not in parameters:
        parameters["stop"] = stop
    removed = {_REMOVABLE_TYPES[name] for name in package.removed}
    layers = [layer for layer in base.layers if layer.media_type not in removed]
    layers += _adapter_layers(package)
    if package.template:
        layers = _with_layer(layers, inline_layer(TEMPLATE_TYPE, package.template.encode()))
    if package.system:
        layers = _with_layer(layers, inline_layer(SYSTEM_TYPE, package.system.encode()))
    layers += [inline_layer(LICENSE_TYPE, text.encode()) for text in package.licenses]
    merged = {**_parameters(base.layers), **parameters}
    if merged:
        layers = _with_layer(layers, inline_layer(PARAMS_TYPE, encode_go_json(merged, sort_keys=True)))
    if package.messages:
        content = encode_go_json([_message(message) for message in package.messages])
        layers = _with_layer(layers, inline_layer(MESSAGES_TYPE, content))
    config = inline_layer(CONFIG_TYPE, encode_go_json(_config(package, base, renderer, parser)))
    return Image(tuple(layers), config, _manifest(config, layers))


def check_kind(name: str, model_format: str, remote: str) -> None:
    """Refuse a base that would ignore an adapter: one that is not GGUF, or that runs in the cloud.

    Args:
        name: the name of the base.
        model_format: the format of the base, as Ollama's configuration has it; empty means GGUF.
        remote: the host that runs the base; empty if it runs on the daemon's machine.

    Raises:
        UnsupportedError: the base would ignore an adapter.
    """
    if remote:
        raise UnsupportedError(
            f"{name} runs on another machine ({remote}): it cannot take an adapter.",
            where=name,
            hint="use a model that ollama pull downloads, or --base FILE.gguf",
            code="base-takes-no-adapter",
        )
    if model_format not in ("gguf", ""):
        raise UnsupportedError(
            f"{name} is not a GGUF model ({model_format}): Ollama would ignore the adapter without an error.",
            where=name,
            hint=f"use a GGUF variant of {name}, or --base FILE.gguf",
            code="base-takes-no-adapter",
        )


def base_has_adapter_note(name: str) -> str:
    """Return the message for a base that already has an adapter."""
    return f"{name} already has an adapter: Ollama applies both"


def _check_base(base: BaseImage, package: Package) -> None:
    """Raise UnsupportedError if the base would ignore an adapter."""
    name = package.base.tag or str(package.base.gguf)
    config = base.config
    check_kind(name, str(config.get("model_format") or ""), str(config.get("remote_host") or ""))


def _renderer_and_parser(package: Package, base: BaseImage) -> tuple[str, str, list[str]]:
    """Return the renderer, the parser and the stop words that Ollama sets with them."""
    if package.template and not package.renderer:
        return (
            "",
            package.parser or base.config.get("parser", ""),
            [],
        )  # a renderer would overrule the template
    renderer = package.renderer or base.config.get("renderer", "")
    parser = package.parser or base.config.get("parser", "")
    defaults = _ARCH_DEFAULTS.get(str(base.config.get("model_family", "")))
    if defaults is None or (renderer and parser):
        return renderer, parser, []
    return renderer or defaults[0], parser or defaults[1], list(defaults[2])


def _adapter_layers(package: Package) -> list[Layer]:
    """Return the layer of the GGUF LoRA file; a merged model has none."""
    adapter = package.adapter
    if adapter is None:
        return []
    layer = Layer(ADAPTER_TYPE, adapter.digest, adapter.size, file=adapter.path, origin=adapter.path.name)
    return [layer]


def _parameters(layers: Iterable[Layer]) -> dict[str, Any]:
    """Return the PARAMETERs in the layers of a base; the first layer that has a key counts."""
    parameters: dict[str, Any] = {}
    for layer in layers:
        if layer.media_type == PARAMS_TYPE and layer.content:
            parameters = {**parse_object(layer.content), **parameters}
    return parameters


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message with its fields in the order of Ollama's ``api.Message``."""
    ordered = {field: message[field] for field in _MESSAGE_FIELDS if message.get(field)}
    return {"role": str(message["role"]).lower(), "content": message.get("content", "")} | {
        key: value for key, value in ordered.items() if key not in ("role", "content")
    }


def _config(package: Package, base: BaseImage, renderer: str, parser: str) -> dict[str, Any]:
    """Return the configuration with its fields in the order in which Ollama writes them."""
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


def _with_layer(layers: Iterable[Layer], new: Layer) -> list[Layer]:
    """Return the layers with `new` at the end, instead of those of its media type."""
    return [layer for layer in layers if layer.media_type != new.media_type] + [new]
