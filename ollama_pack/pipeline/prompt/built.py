"""Compares the prompts of a model that is built already: that of a build's folder, and an installed one."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.chat.sent import SentPrompt
from ollama_pack.chat.trained import ChatTemplate
from ollama_pack.errors import DestinationError, InputError, UnsupportedError
from ollama_pack.lora.peft.chat_template import read_chat_template
from ollama_pack.pipeline.output_dir import adapter_home
from ollama_pack.pipeline.prompt.installed import base_of_package
from ollama_pack.pipeline.prompt.sent import PromptBase, base_in_store, version_of_daemon
from ollama_pack.pipeline.prompt.verdict import PromptVerdict, chat_clock, reason_of_prompt

if TYPE_CHECKING:
    from ollama_pack.deliver.package import Package
    from ollama_pack.ollama.locations import OllamaLocations

_NONE_BESIDE = "no chat template lies beside these files, so there is nothing to compare"
_NONE_INSTALLED = (
    "an installed adapter has no chat template; ollama-pack verify DIR compares with the one in its directory"
)


def prompts_of_folder(
    package: "Package", folder: Path, locations: "OllamaLocations", via: str
) -> PromptVerdict:
    """Return what is known of the prompts of the model in a build's folder.

    The chat template is that of the adapter around the folder, or of the merged model. If there is none,
    what Ollama will send is still computed, so that a daemon can be asked whether it does.

    Args:
        package: the model.
        folder: the folder.
        locations: the daemon and the stores that may have the base.
        via: the delivery that the user asks for.
    """

    def read() -> PromptVerdict:
        base = base_of_package(package, locations, via)
        trained = read_chat_template(adapter_home(folder)) or _of_merged(package, base)
        return _compared(trained, base.sent_to(package), _NONE_BESIDE)

    return _or_why_not(read)


def prompts_of_installed(package: "Package", store: Path, locations: "OllamaLocations") -> PromptVerdict:
    """Return what is known of the prompts of an installed model.

    Args:
        package: the model.
        store: the store that it is in.
        locations: the daemon, whose version decides how the prompts are made.
    """

    def read() -> PromptVerdict:
        base = base_in_store(store, str(package.name), version_of_daemon(locations))
        return _compared(_of_merged(package, base), base.sent(), _NONE_INSTALLED)

    return _or_why_not(read)


def _of_merged(package: "Package", base: PromptBase) -> ChatTemplate | None:
    """Return the chat template of a merged model; a merge puts that of the adapter there."""
    return base.tokens if package.adapter is None and base.jinja else None


def _compared(trained: ChatTemplate | None, sent: SentPrompt, why_none: str) -> PromptVerdict:
    """Return the verdict on a chat template and on how a model gets its prompts."""
    from ollama_pack.verify.prompt import prove_prompt

    if trained is None:
        return PromptVerdict(why=why_none, sent=sent)
    try:
        with chat_clock() as renderer:
            found = prove_prompt(trained, sent, renderer)
    except UnsupportedError as error:  # a daemon that has the model may still be asked
        return PromptVerdict(why=reason_of_prompt(error), trained=trained, sent=sent)
    return PromptVerdict(found.result, difference=found.difference, trained=trained, sent=sent)


def _or_why_not(read: Callable[[], PromptVerdict]) -> PromptVerdict:
    """Return a verdict, or why there is none."""
    try:
        return read()
    except (InputError, UnsupportedError, DestinationError) as error:
        return PromptVerdict(why=reason_of_prompt(error))
