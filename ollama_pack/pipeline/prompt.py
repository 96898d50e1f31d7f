"""Compares the prompts that a model was trained with and those that it will be sent, before it is there."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.chat.renderer import ChatRenderer, chat_renderer
from ollama_pack.errors import DestinationError, InputError, PackError, ProofError, UnsupportedError
from ollama_pack.lora.peft.chat_template import has_chat_template, read_chat_template
from ollama_pack.pipeline.sent import base_of_package
from ollama_pack.verify.result import ProofResult

if TYPE_CHECKING:
    from ollama_pack.deliver.package import Package
    from ollama_pack.ollama.locations import OllamaLocations

NONE_TRAINED = "no chat template was saved with the adapter, so there is nothing to compare"


@dataclass(frozen=True, slots=True)
class PromptVerdict:
    """What is known of the prompts of a model.

    Attributes:
        result: the proof, or None if it could not be made.
        why: why it could not be made, as a clause.
        difference: the first difference, with a caret below both sides; empty if there is none.
    """

    result: ProofResult | None = None
    why: str = ""
    difference: str = ""


def chat_clock() -> AbstractContextManager[ChatRenderer]:
    """Return what fills chat templates, with the clock of this machine; its process ends with the block."""
    return chat_renderer(datetime.now())


@contextmanager
def renderer_beside(directory: Path) -> Iterator[ChatRenderer]:
    """Return what fills chat templates; if an adapter has one, it starts beside what is done meanwhile.

    Args:
        directory: the adapter's directory.
    """
    with chat_renderer(datetime.now()) as renderer:
        if has_chat_template(directory):
            renderer.start()
        yield renderer


def judge_prompt(
    directory: Path, package: "Package", where: "OllamaLocations", via: str, renderer: ChatRenderer
) -> PromptVerdict:
    """Compare the prompts of a package with the chat template that was saved with its adapter.

    Args:
        directory: the adapter's directory.
        package: the model.
        where: the daemon and the stores that may have its base.
        via: the delivery that the user asks for.
        renderer: what fills chat templates.
    """
    from ollama_pack.verify.prompt import prove_prompt

    try:
        trained = read_chat_template(directory)
        if trained is None:
            return PromptVerdict(why=NONE_TRAINED)
        sent = base_of_package(package, where, via).sent_to(package)
        found = prove_prompt(trained, sent, renderer)
    except (InputError, UnsupportedError, DestinationError) as error:
        return PromptVerdict(why=_reason(error))
    return PromptVerdict(found.result, difference=found.difference)


def require_prompt(verdict: PromptVerdict, directory: Path) -> None:
    """Require that no prompt differs; what could not be compared is no difference.

    Raises:
        ProofError: a prompt differs.
    """
    if verdict.result is None or verdict.result.passed:
        return
    raise ProofError(
        f"The prompts are not those that the model was trained with: {verdict.result.summary}.\n"
        f"{verdict.difference}",
        where=directory,
        hint="without --strict, the model is built and the difference is only told",
        code="prompt",
    )


def _reason(error: PackError) -> str:
    """Return the clause of an error, with the place where it is."""
    return f"{error.where}: {error.clause}" if error.where else error.clause
