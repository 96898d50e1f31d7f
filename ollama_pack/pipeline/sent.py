"""How a model that is not delivered yet will get its prompts; the image that a delivery makes of it tells."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ollama_pack.chat.sent import SentPrompt, sent_prompt
from ollama_pack.chat.trained import ChatTemplate
from ollama_pack.chat.who_renders import PromptSource
from ollama_pack.errors import DestinationError, UnsupportedError
from ollama_pack.files import read_small
from ollama_pack.gguf.begin_of_text import adds_begin_of_text
from ollama_pack.pipeline.chat_format import TEMPLATE_KEY

if TYPE_CHECKING:
    from ollama_pack.deliver.package import Package
    from ollama_pack.gguf.model_info import ModelInfo
    from ollama_pack.ollama.locations import OllamaLocations
    from ollama_pack.ollama.manifest import Image


def sent_of_package(package: "Package", locations: "OllamaLocations", via: str) -> SentPrompt:
    """Return how a package will get its prompts from the daemon that answers, else the latest Ollama.

    Raises:
        DestinationError: the base is in no store that can be read here.
        InputError: the base or a template is damaged.
        UnsupportedError: what Ollama will do cannot be known.
    """
    from ollama_pack.deliver.image import build_image, image_of_gguf
    from ollama_pack.ollama.store import image_in_store

    base = package.base
    if base.gguf is not None and base.info is not None:
        if not package.template and _may_create(locations, via):
            raise UnsupportedError(
                "Ollama's create puts a TEMPLATE that it guesses over that of a GGUF file."
            )
        image = build_image(package, image_of_gguf(base, "", 0))
        return _sent_of_image(image, base.info, None, _version(locations, via))
    store = _store_of_base(package, locations)
    image = build_image(package, image_in_store(store, base.tag))
    return _sent_of_image(image, _weights_info(image, store), store, _version(locations, via))


def _may_create(locations: "OllamaLocations", via: str) -> bool:
    """Return whether the delivery may be Ollama's own create."""
    from ollama_pack.ollama.address import is_near

    return via == "create" or (via == "auto" and not locations.named and not is_near(locations.address))


def _store_of_base(package: "Package", locations: "OllamaLocations") -> Path:
    """Return a store that has the base of a package."""
    from ollama_pack.deliver.choose_store import store_with_base
    from ollama_pack.ollama.locations import with_daemon_store_first

    store = store_with_base(package, with_daemon_store_first(locations))
    if store is None:
        raise DestinationError(f"{package.base.tag} is in no store that can be read here.")
    return store


def _version(locations: "OllamaLocations", via: str) -> tuple[int, int, int] | None:
    """Return the release of the daemon that answers, or None, which means the latest."""
    from ollama_pack.ollama.address import may_answer
    from ollama_pack.ollama.daemon import Daemon
    from ollama_pack.ollama.versions import parse_version

    if via == "folder" or locations.named or not may_answer(locations.address):
        return None
    with Daemon(locations.address) as daemon:
        try:
            return parse_version(daemon.version())
        except DestinationError:
            return None


def _weights_info(image: "Image", store: Path) -> "ModelInfo":
    """Return what the header of the weights of an image says."""
    from ollama_pack.gguf.model_info import read_model_info
    from ollama_pack.ollama.manifest import MODEL_TYPE
    from ollama_pack.ollama.store_layout import blob_path

    digests = [layer.digest for layer in image.layers if layer.media_type == MODEL_TYPE]
    if len(digests) != 1:
        raise UnsupportedError("The base does not have its weights in one GGUF file.")
    return read_model_info(blob_path(store, digests[0]))


def _sent_of_image(
    image: "Image", info: "ModelInfo", store: Path | None, version: tuple[int, int, int] | None
) -> SentPrompt:
    """Return how the model of an image gets its prompts."""
    from ollama_pack.ollama.manifest import MESSAGES_TYPE, SYSTEM_TYPE, TEMPLATE_TYPE

    texts = {kind: _layer_text(image, kind, store) for kind in (TEMPLATE_TYPE, SYSTEM_TYPE, MESSAGES_TYPE)}
    config = json.loads(image.config.content or b"{}")
    jinja = info.metadata.get(TEMPLATE_KEY)
    source = PromptSource(
        template=texts[TEMPLATE_TYPE],
        jinja=jinja if isinstance(jinja, str) else "",
        renderer=config.get("renderer", ""),
        parser=config.get("parser", ""),
        family=config.get("model_family", ""),
    )
    special = info.vocabulary.special if info.vocabulary else {}
    tokens = info.vocabulary.tokens if info.vocabulary else {}
    names = {f"{kind}_token": tokens[number] for kind, number in special.items() if number in tokens}
    sent = sent_prompt(source, version, ChatTemplate("", names, info.name), adds_bos=_adds_bos(info.metadata))
    messages = json.loads(texts[MESSAGES_TYPE] or "[]")
    return replace(sent, system=texts[SYSTEM_TYPE] or "", before=messages)


def _layer_text(image: "Image", kind: str, store: Path | None) -> str | None:
    """Return the text of the last layer of a kind, or None if there is none."""
    from ollama_pack.ollama.store_layout import blob_path

    layers = [layer for layer in image.layers if layer.media_type == kind]
    if not layers:
        return None
    content = layers[-1].content
    if content is None:
        assert store is not None, "a base that is a file has no such layer"
        content = read_small(blob_path(store, layers[-1].digest))
    return content.decode("utf-8", "replace")


def _adds_bos(metadata: Mapping[str, Any]) -> bool:
    """Return whether the tokenizer of a GGUF puts the begin of text in front.

    Raises:
        UnsupportedError: the file does not say it, and its kind of tokenizer does not tell.
    """
    adds = adds_begin_of_text(metadata)
    if adds is None:
        raise UnsupportedError("The base does not say whether its tokenizer adds the begin of text.")
    return adds
