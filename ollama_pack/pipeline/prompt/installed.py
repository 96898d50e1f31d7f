"""How models that are installed, or on an installed base, get their prompts.

They are read from a store, else as a daemon shows or renders them. A daemon that runs as another user or in a
container has its models in a store that cannot be read here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.chat.renderer import ChatRenderer
from ollama_pack.chat.sent import SentPrompt
from ollama_pack.chat.trained import Conversation
from ollama_pack.chat.who_renders import DEFAULT_GO_TEMPLATE
from ollama_pack.errors import DestinationError, InputError, UnsupportedError, UsageError
from ollama_pack.formats.go_json import encode_go_json
from ollama_pack.pipeline.prompt.chat_format import TEMPLATE_KEY
from ollama_pack.pipeline.prompt.sent import PromptBase, base_in_store, version_of_daemon

if TYPE_CHECKING:
    from ollama_pack.deliver.package import Package
    from ollama_pack.ollama.api_types import Shown
    from ollama_pack.ollama.daemon import Daemon
    from ollama_pack.ollama.locations import OllamaLocations
    from ollama_pack.ollama.manifest import BaseImage
    from ollama_pack.ollama.versions import Version


def base_of_package(package: "Package", locations: "OllamaLocations", via: str) -> PromptBase:
    """Return the base of a package, for the daemon that answers, else for the latest Ollama.

    A base in a store that cannot be read here is taken as the daemon shows it, unless a store is written to.

    Args:
        package: the model.
        locations: the daemon and the stores that may have the base.
        via: the delivery that the user asks for.

    Raises:
        DestinationError: no store that can be read here and no daemon has the base.
        InputError: the base is damaged.
        UnsupportedError: the weights of the base are in several files.
    """
    from ollama_pack.deliver.choose_store import store_with_base
    from ollama_pack.deliver.image import image_of_gguf
    from ollama_pack.ollama.address import may_answer
    from ollama_pack.ollama.daemon_store import with_daemon_store_first

    if package.merged_from is not None and package.base.info is None:  # what it is merged into is not at hand
        package = replace(package, base=package.merged_from)
    base, version = package.base, None if via == "folder" else version_of_daemon(locations)
    creates = _may_create(locations, via)
    if base.gguf is not None and base.info is not None:
        image = image_of_gguf(base, "", 0)
        return PromptBase(image, base.info, None, version, creates)
    if not locations.named and via not in ("folder", "store") and may_answer(locations.address):
        with suppress(UsageError):  # the daemon has no such model
            return replace(base_of_model(base.tag, locations, version)[0], creates=creates)
    store = store_with_base(package, with_daemon_store_first(locations))
    if store is None:
        raise DestinationError(
            f"{base.tag} is in no store that can be read here.",
            hint="--base FILE.gguf  names the file of the base",
        )
    return replace(base_in_store(store, base.tag, version), creates=creates)


def _may_create(locations: "OllamaLocations", via: str) -> bool:
    """Return whether the delivery may be Ollama's own create."""
    from ollama_pack.ollama.address import is_near

    return via == "create" or (via == "auto" and not locations.named and not is_near(locations.address))


def base_of_model(
    name: str, locations: "OllamaLocations", version: "Version | None"
) -> tuple[PromptBase, Path | None]:
    """Return an installed model, and the store that it is in; None if that cannot be read here.

    The daemon that answers decides what a name means. A store that has another model of that name is not
    looked at.

    Raises:
        UsageError: there is no such model.
        DestinationError: the daemon that the user named does not answer, or the model is damaged.
        InputError: the file of its weights is damaged.
        UnsupportedError: its weights are in several files, or in the cloud.
    """
    from ollama_pack.ollama.choose_models import models_at
    from ollama_pack.ollama.daemon_store import store_with
    from ollama_pack.ollama.models import DaemonModels, StoreModels, find_model, no_such_model
    from ollama_pack.ollama.names import parse_name

    try:
        parsed = parse_name(name)
        with models_at(locations, parsed) as models:
            entry = find_model(models, parsed)
            if entry is None:
                raise no_such_model(models, parsed)
            if isinstance(models, StoreModels):
                return base_in_store(models.store, name, version), models.store
            assert isinstance(models, DaemonModels)
            store = store_with(models.daemon, entry.name, entry.digest, locations)
            if store is not None:
                return base_in_store(store, name, version), store
            return _base_of_daemon(models.daemon, entry.name.display, version), None
    except (UsageError, DestinationError) as error:
        if isinstance(error, DestinationError) and error.code != "no-store":
            raise
        raise UsageError(
            f"There is no directory or file {name}, and {error.clause}.",
            where=error.where,
            hint=error.hint or "ollama list  shows the models",
            code="no-such-directory",
        ) from error


def _base_of_daemon(daemon: "Daemon", name: str, version: "Version | None") -> PromptBase:
    """Return a model as its daemon shows it; a chat template that is not shown is read from the weights."""
    from ollama_pack.gguf.model_info import ModelInfo, vocabulary_of

    shown = daemon.show(name, verbose=True)
    if shown is None:
        raise DestinationError(f"The daemon lists {name}, but does not show it.", where=daemon.address)
    image, jinja = _image_of(shown, f"{name} in {daemon.address}")
    metadata = {**shown.metadata, TEMPLATE_KEY: jinja or _jinja_of_weights(daemon, name)}
    info = ModelInfo(name, metadata, shown.shapes, vocabulary_of(metadata, daemon.address))
    return PromptBase(image, info, None, version)


def _image_of(shown: "Shown", where: str) -> tuple["BaseImage", str]:
    """Return the layers of a model that decide its prompt, and the chat template of its GGUF if it is shown.

    A daemon shows what is in force: the chat template, or the TEMPLATE. A model that has no TEMPLATE is shown
    with the one that Ollama executes then.
    """
    from ollama_pack.modelfile.parser import parameters, parse
    from ollama_pack.ollama import manifest

    modelfile = parse(shown.modelfile, where=where)
    own = modelfile.value("TEMPLATE")
    jinja = "" if shown.template.strip() == own.strip() else shown.template
    template = own if jinja else shown.template
    texts = {
        manifest.TEMPLATE_TYPE: "" if jinja and own.strip() == DEFAULT_GO_TEMPLATE else template,
        manifest.SYSTEM_TYPE: shown.system,
    }
    lists = {manifest.MESSAGES_TYPE: list(shown.messages), manifest.PARAMS_TYPE: parameters(modelfile)}
    contents = {kind: text.encode() for kind, text in texts.items() if text}
    contents |= {kind: encode_go_json(value) for kind, value in lists.items() if value}
    config = {key.lower(): modelfile.value(key) for key in ("RENDERER", "PARSER")}
    config |= {"model_family": shown.family, "model_format": shown.format, "remote_host": shown.remote}
    layers = tuple(manifest.inline_layer(kind, content) for kind, content in contents.items())
    return manifest.BaseImage(layers, config), jinja


def _jinja_of_weights(daemon: "Daemon", name: str) -> str:
    """Return the chat template in the GGUF of a model, or an empty string if it has none.

    The daemon shows it of a model without a TEMPLATE, so the weights alone get a name for a moment.

    Raises:
        UnreachableError: the daemon is on another machine, or in a container.
        UnsupportedError: this Ollama shows no chat template.
    """
    from ollama_pack.chat.who_renders import JINJA_FROM
    from ollama_pack.ollama.versions import parse_version
    from ollama_pack.ollama.weights_alone import weights_alone

    version = parse_version(daemon.version())
    if version is not None and version < JINJA_FROM:
        raise UnsupportedError(
            f"This Ollama does not show the chat template in the GGUF of {name}.",
            where=daemon.address,
            hint="run the same command as a user who may read the store",
        )
    with weights_alone(daemon, name) as alone:
        shown = daemon.show(alone)
    return "" if shown is None or shown.template == DEFAULT_GO_TEMPLATE else shown.template


@dataclass(frozen=True, slots=True)
class RenderedPrompt(SentPrompt):
    """How a model gets its prompts, as the daemon that has it renders them.

    Attributes:
        ask: returns what the daemon renders for a conversation.
        address: the address of the daemon.
    """

    ask: Callable[[Conversation], str] = field(kw_only=True)
    address: str = field(kw_only=True)

    def fill(self, conversation: Conversation, renderer: ChatRenderer) -> str:  # noqa: ARG002 — the daemon has its own
        """Return what the model gets for a conversation, with the begin of text as text.

        Raises:
            InputError: the daemon does not take the conversation.
            DestinationError: the daemon does not answer.
            UnsupportedError: the daemon is too old to tell what it renders.
        """
        return self.received(self.ask(conversation))


def _ask(daemon: "Daemon", model: str, talk: Conversation) -> str:
    """Return what a daemon renders for a conversation.

    Raises:
        InputError: the daemon does not take the conversation.
        DestinationError: the daemon does not answer any more.
        UnsupportedError: the daemon is too old to tell what it renders.
    """
    from ollama_pack.ollama.api_types import RENDERING_PATHS

    try:
        told = daemon.rendered(model, talk.messages, RENDERING_PATHS[0], talk.tools)
    except DestinationError as error:
        if daemon.why_absent():
            raise
        raise InputError(error.what, where=talk.name) from error
    if told is None:
        raise UnsupportedError(
            "This Ollama is too old to tell what it renders.",
            where=daemon.address,
            hint="the same command without --against daemon  computes the prompts",
        )
    return told


@contextmanager
def rendered_by_daemon(name: str, locations: "OllamaLocations", sent: SentPrompt) -> Iterator[RenderedPrompt]:
    """Yield how a model gets its prompts, as its daemon renders them; it is unloaded if it was not loaded.

    Args:
        name: the model.
        locations: the daemon.
        sent: what is computed, of which the SYSTEM and what is added in front are used.

    Raises:
        DestinationError: the daemon does not answer, or does not load the model.
    """
    from ollama_pack.ollama.daemon import Daemon
    from ollama_pack.ollama.names import parse_name

    model = parse_name(name).display
    with Daemon(locations.address) as daemon:
        before = daemon.loaded()
        known = {each.name: getattr(sent, each.name) for each in fields(SentPrompt)}
        try:
            daemon.load(model)
            yield RenderedPrompt(**known, ask=lambda talk: _ask(daemon, model, talk), address=daemon.address)
        finally:
            if model not in before:
                daemon.unload(model)
