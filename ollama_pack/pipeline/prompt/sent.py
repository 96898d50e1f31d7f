"""How the models of a base get their prompts: those that are installed, and one that is not delivered yet.

For a model that is not delivered yet, this is computed from the image that a delivery makes of it.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ollama_pack.chat.sent import SentPrompt, sent_prompt
from ollama_pack.chat.trained import ChatTemplate
from ollama_pack.chat.who_renders import PromptSource, read_go_template
from ollama_pack.disk.files import read_small
from ollama_pack.errors import DestinationError, UnsupportedError, UsageError
from ollama_pack.formats.untrusted_json import parse_json, parse_object
from ollama_pack.gguf.begin_of_text import adds_begin_of_text
from ollama_pack.pipeline.prompt.chat_format import TEMPLATE_KEY

if TYPE_CHECKING:
    from ollama_pack.deliver.package import Package
    from ollama_pack.gguf.model_info import ModelInfo
    from ollama_pack.ollama.locations import OllamaLocations
    from ollama_pack.ollama.manifest import BaseImage, Layer
    from ollama_pack.ollama.versions import Version

DAEMON = "daemon"
"""The value of ``--against`` that stands for the release of the daemon that answers."""


@dataclass(frozen=True, slots=True)
class PromptBase:
    """What a base gives to the prompts of its models, read once.

    Attributes:
        image: its layers and its configuration.
        info: the header of its weights.
        store: the store that it is in; None for a GGUF file, and for a model as its daemon shows it.
        version: the release of Ollama that makes the prompts; None for the latest.
        creates: whether Ollama's own create may make the model: it cannot take a TEMPLATE away, and puts one
            that it guesses over a GGUF file.
    """

    image: "BaseImage"
    info: "ModelInfo"
    store: Path | None
    version: "Version | None"
    creates: bool = False

    @property
    def tokens(self) -> ChatTemplate:
        """The chat template in the GGUF, with its special tokens by the names that templates know them by."""
        vocabulary = self.info.vocabulary
        special, tokens = (vocabulary.special, vocabulary.tokens) if vocabulary else ({}, {})
        names = {f"{kind}_token": tokens[number] for kind, number in special.items() if number in tokens}
        return ChatTemplate(self.jinja, names, self.info.name)

    @property
    def texts(self) -> frozenset[str]:
        """The tokens of its vocabulary as text."""
        return frozenset(self.info.vocabulary.tokens.values() if self.info.vocabulary else ())

    @property
    def jinja(self) -> str:
        """The chat template in the GGUF, or an empty string."""
        jinja = self.info.metadata.get(TEMPLATE_KEY)
        return jinja if isinstance(jinja, str) else ""

    @property
    def adds_bos(self) -> bool | None:
        """Whether its tokenizer puts the begin of text in front; None if that is not known."""
        return adds_begin_of_text(self.info.metadata)

    @property
    def has_template(self) -> bool:
        """Whether it has a TEMPLATE."""
        from ollama_pack.ollama.manifest import TEMPLATE_TYPE

        return any(layer.media_type == TEMPLATE_TYPE for layer in self.image.layers)

    @property
    def has_renderer(self) -> bool:
        """Whether a renderer of Ollama's own makes its prompts."""
        return bool(self.image.config.get("renderer"))

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end an answer, by its PARAMETERs."""
        return tuple(self.parameters().get("stop") or ())

    def parameters(self, package: "Package | None" = None) -> Mapping[str, Any]:
        """Return the PARAMETERs of a model on this base with those that it inherits, or those of the base."""
        from ollama_pack.deliver.image import build_image
        from ollama_pack.ollama.manifest import PARAMS_TYPE

        layers = build_image(package, self.image).layers if package else self.image.layers
        return parse_object(self._text(layers, PARAMS_TYPE) or "{}")

    def sent(self) -> SentPrompt:
        """Return how the base itself gets its prompts.

        Raises:
            InputError: its TEMPLATE is damaged.
            UnsupportedError: what Ollama will do cannot be known.
        """
        return self._sent(self.image.layers, self.image.config)

    def sent_to(self, package: "Package") -> SentPrompt:
        """Return how a model on this base will get its prompts.

        Raises:
            InputError: its TEMPLATE is damaged.
            UnsupportedError: what Ollama will do cannot be known.
        """
        from ollama_pack.deliver.image import build_image

        is_file = any(layer.file is not None for layer in self.image.layers)
        if is_file and self.creates and not package.template:
            raise UnsupportedError(
                "Ollama's create may guess a TEMPLATE and use it instead of the chat template of a GGUF file."
            )
        made = build_image(package, self.image)
        return self._sent(made.layers, parse_object(made.config.content or b"{}"))

    def _sent(self, layers: "Iterable[Layer]", config: Mapping[str, Any]) -> SentPrompt:
        """Return how the model with these layers gets its prompts."""
        from ollama_pack.ollama.manifest import MESSAGES_TYPE, SYSTEM_TYPE, TEMPLATE_TYPE

        texts = {kind: self._text(layers, kind) for kind in (TEMPLATE_TYPE, SYSTEM_TYPE, MESSAGES_TYPE)}
        source = PromptSource(
            template=texts[TEMPLATE_TYPE],
            jinja=self.jinja,
            renderer=config.get("renderer", ""),
            parser=config.get("parser", ""),
            family=config.get("model_family", ""),
        )
        if self.adds_bos is None:
            raise UnsupportedError("The base does not say whether its tokenizer adds the begin of text.")
        forced = read_go_template(os.environ)
        sent = sent_prompt(source, self.version, self.tokens, adds_bos=self.adds_bos, go_template=forced)
        return replace(sent, system=texts[SYSTEM_TYPE] or "", before=parse_json(texts[MESSAGES_TYPE] or "[]"))

    def _text(self, layers: "Iterable[Layer]", kind: str) -> str | None:
        """Return the text of the last layer of a kind, or None if there is none."""
        from ollama_pack.ollama.store_layout import blob_path

        found = [layer for layer in layers if layer.media_type == kind]
        if not found:
            return None
        content = found[-1].content
        if content is None:
            assert self.store is not None, "what is in no store has its texts in its layers"
            content = read_small(blob_path(self.store, found[-1].digest))
        return content.decode("utf-8", "replace")


def version_of_daemon(locations: "OllamaLocations") -> "Version | None":
    """Return the release of the daemon that answers, or None, which means the latest."""
    from ollama_pack.ollama.address import may_answer
    from ollama_pack.ollama.daemon import Daemon
    from ollama_pack.ollama.versions import parse_version

    if locations.named or not may_answer(locations.address):
        return None
    with Daemon(locations.address) as daemon:
        try:
            return parse_version(daemon.version())
        except DestinationError:
            return None


def base_in_store(store: Path, tag: str, version: "Version | None") -> PromptBase:
    """Return a model of a store.

    Raises:
        DestinationError: the model is not there, or damaged.
        InputError: the header of its weights is damaged.
        UnsupportedError: its weights are in several files.
    """
    from ollama_pack.gguf.model_info import read_model_info
    from ollama_pack.ollama.manifest import MODEL_TYPE
    from ollama_pack.ollama.store import image_in_store
    from ollama_pack.ollama.store_layout import blob_path

    image = image_in_store(store, tag)
    digests = [layer.digest for layer in image.layers if layer.media_type == MODEL_TYPE]
    if len(digests) != 1:
        raise UnsupportedError(f"{tag} does not have its weights in one GGUF file.")
    return PromptBase(image, read_model_info(blob_path(store, digests[0]), tag), store, version)


def chosen_version(against: str, locations: "OllamaLocations", found: "Version | None") -> "Version | None":
    """Return the release that the user names.

    Args:
        against: ``0.12``, ``daemon``, or an empty text for the daemon that answers, else the latest.
        locations: the daemon.
        found: the release of the daemon, or None.

    Raises:
        DestinationError: the daemon does not answer.
        UsageError: this is not a release.
    """
    from ollama_pack.ollama.daemon import Daemon
    from ollama_pack.ollama.versions import parse_version

    if not against:
        return found
    if against == DAEMON:
        with Daemon(locations.address) as daemon:
            return parse_version(daemon.version())
    version = parse_version(against if against.count(".") > 1 else f"{against}.0")
    if version is None:
        raise UsageError(f"{against!r} is not a version of Ollama, such as 0.33.", code="bad-option")
    return version
