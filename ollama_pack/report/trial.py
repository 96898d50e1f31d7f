"""Renders a run of `try` as one HTML page: each question with the answers of all models side by side."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ollama_pack.chat.trained import Turn
from ollama_pack.disk.files import megabytes
from ollama_pack.engine.answers import Said
from ollama_pack.errors import one_line, printable
from ollama_pack.pipeline.trial.answering import Answering, Exchange
from ollama_pack.report.page import render_page


def render_trial(ready: Answering, exchanges: Sequence[Exchange]) -> str:
    """Return the HTML page of a trial: questions, answers, timings and settings.

    Args:
        ready: the models that answered.
        exchanges: the conversations, and what the models answered.
    """
    trial = ready.trial
    voices = ", ".join(voice.name for voice in trial.voices)
    return render_page(
        "trial.html",
        title=one_line(Path(trial.name).name or trial.name),
        verdict=one_line(f"Questions: {len(exchanges)}. Answered by {voices}."),
        facts=[(term, one_line(text)) for term, text in _settings(ready)],
        talks=list(map(_talk_on_page, exchanges)),
    )


def _settings(ready: Answering) -> Iterator[tuple[str, str]]:
    """Yield label and text of each setting that all answers share."""
    trial = ready.trial
    yield "prompt", trial.prompts.origin
    if ready.daemon is not None:
        yield "daemon", ready.daemon.address
    for model, llama in ready.llamas.items():
        took = f"loaded in {llama.load_seconds:.1f} s, {megabytes(llama.memory)} of memory"
        yield "llama.cpp", f"{llama.name}, {model.name} {took}"
    for key, value in sorted(trial.options(ready.chosen).items()):
        yield key, ", ".join(map(repr, value)) if isinstance(value, list | tuple) else f"{value}"
    for note in trial.notes:
        yield "note", note


def _talk_on_page(exchange: Exchange) -> dict[str, Any]:
    """Return what the page shows of a conversation; the last message is left out if it is the name."""
    *before, last = exchange.conversation.messages
    asked, name = _text_of_turn(last), exchange.conversation.name
    turns = [*before, last] if asked != name else before
    return {
        "name": one_line(name),
        "before": [(one_line(str(turn["role"])), printable(_text_of_turn(turn))) for turn in turns],
        "prompt": printable(exchange.prompt),
        "answers": [
            {"voice": one_line(voice), "text": printable(said.text), "figures": _figures_of(said)}
            for voice, said in exchange.answers.items()
        ],
    }


def _text_of_turn(turn: Turn) -> str:
    """Return the text of a message, or an empty string for a message that only calls a tool."""
    return str(turn.get("content") or "")


def _figures_of(said: Said) -> str:
    """Return how long an answer is, how long it took, and how it ended."""
    speed = f", {said.tokens / said.seconds:.0f} a second" if said.seconds > 0 else ""
    end = "" if said.ended else ", cut off"
    return f"{said.tokens} tokens in {said.seconds:.1f} s{speed}{end}"
