"""Compares the prompts that a model was trained with and those that it will be sent, before it exists."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ollama_pack.chat.renderer import ChatRenderer, chat_renderer
from ollama_pack.chat.sent import SentPrompt
from ollama_pack.chat.trained import ChatTemplate
from ollama_pack.errors import PackError, ProofError
from ollama_pack.lora.peft.chat_template import has_chat_template
from ollama_pack.verify.result import ProofResult

NONE_TRAINED = "no chat template was saved with the adapter, so there is nothing to compare"


@dataclass(frozen=True, slots=True)
class PromptVerdict:
    """What is known of the prompts of a model.

    Attributes:
        result: the proof, or None if it could not be made.
        why: why it could not be made, as a clause.
        difference: the first difference, with a caret below both sides; empty if there is none.
        notes: what was changed so that the proof holds.
        trained: the chat template, if it was compared.
        sent: how the model gets its prompts, if they were compared.
    """

    result: ProofResult | None = None
    why: str = ""
    difference: str = ""
    notes: tuple[str, ...] = ()
    trained: ChatTemplate | None = None
    sent: SentPrompt | None = None

    @property
    def is_proved(self) -> bool:
        """Whether the prompts are those that the model was trained with."""
        return self.result is not None and self.result.passed


def chat_clock() -> AbstractContextManager[ChatRenderer]:
    """Return what fills chat templates, with the clock of this machine; its process ends with the block."""
    return chat_renderer(datetime.now())


@contextmanager
def renderer_beside(directory: Path) -> Iterator[ChatRenderer]:
    """Yield what fills chat templates; its process starts at once if the adapter has a chat template.

    Args:
        directory: the adapter's directory.
    """
    with chat_renderer(datetime.now()) as renderer:
        if has_chat_template(directory):
            renderer.start()
        yield renderer


def require_prompt(verdict: PromptVerdict, directory: Path) -> None:
    """Require that no prompt differs; prompts that could not be compared pass.

    Raises:
        ProofError: a prompt differs.
    """
    if verdict.result is not None and not verdict.is_proved:
        raise prompt_error(verdict, directory, hint="without --strict, the difference is only reported")


def prompt_error(verdict: PromptVerdict, directory: Path, *, hint: str) -> ProofError:
    """Return the error for prompts that are not proved.

    Args:
        verdict: what is known of them.
        directory: the adapter's directory.
        hint: what the user may do.
    """
    if verdict.result is None:
        what = f"The prompts cannot be proved: {verdict.why}."
    else:
        said = f"The prompts are not those that the model was trained with: {verdict.result.summary}."
        what = "\n  ".join((said, *verdict.difference.splitlines()))
    return ProofError(what, where=directory, hint=hint, code="prompt")


def reason_of_prompt(error: PackError) -> str:
    """Return the clause of an error with its place; for a renderer of Ollama's own, also with its hint."""
    said = f"{error.where}: {error.clause}" if error.where else error.clause
    return f"{said}; {error.hint}" if error.code == "own-renderer" else said
