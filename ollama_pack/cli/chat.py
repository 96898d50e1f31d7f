"""The small chat of ``try``: several models at one terminal, each with its own history."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ollama_pack.cli.answer_columns import LiveAnswers, say_answers
from ollama_pack.cli.say import read_line, say

if TYPE_CHECKING:
    from ollama_pack.engine.answers import Said
    from ollama_pack.pipeline.trial.answering import Answering, Exchange
    from ollama_pack.pipeline.trial.trial import Voice

QUOTE = '"""'
"""Begins and ends a message of several lines, as in ``ollama run``."""

HELP = (
    "/base, /adapted, /both   choose which models answer",
    "/NAME                    choose only the model of this name",
    "/system TEXT             set the system message, or remove it without TEXT, and clear the history",
    "/reset                   clear the history",
    "/bye                     end the chat, as Ctrl-D does",
    f"{QUOTE}                      begin or end a message of several lines",
)


@dataclass(slots=True)
class Chat:
    """A chat with the models of a trial.

    Attributes:
        answering: the models.
        voices: the models that answer now.
        system: the system message, or None for that of the model.
        history: name of a model → its messages so far.
        exchanges: every message with its answers, also after the history was cleared.
    """

    answering: "Answering"
    voices: tuple["Voice", ...]
    system: str | None = None
    history: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    exchanges: "list[Exchange]" = field(default_factory=list)

    def run(self) -> "list[Exchange]":
        """Read and answer messages until the user ends the chat; return all messages with their answers."""
        say("/help  lists the commands", err=True)
        for text in messages_typed():
            if text.startswith("/"):
                if not self.obey(text):
                    break
            elif text.strip():
                self.answer(text)
        return self.exchanges

    def answer(self, text: str) -> None:
        """Have the models answer a message, each by its own history; Ctrl-C ends an answer, not the chat."""
        from ollama_pack.chat.trained import Conversation
        from ollama_pack.pipeline.trial.answering import Exchange

        said: dict[str, Said] = {}
        try:
            with LiveAnswers(self.voices) as live:
                for voice in self.voices:
                    turns = [*self._turns(voice), {"role": "user", "content": text}]
                    exchange = self.answering.answer(Conversation("chat", turns), live.hear, (voice,))
                    said |= exchange.answers
        except KeyboardInterrupt:
            say("The answer was stopped, and is forgotten.", err=True)
            return
        for voice in self.voices:
            turns = [*self._turns(voice), {"role": "user", "content": text}]
            self.history[voice.name] = [*turns, {"role": "assistant", "content": said[voice.name].text}]
        # Each model has its own history, so no prompt is the same for all of them.
        question = Conversation(text, [{"role": "user", "content": text}])
        self.exchanges.append(Exchange(question, "", said))
        say_answers(said)

    def obey(self, text: str) -> bool:
        """Obey a command; return whether the chat goes on."""
        word, _, rest = text[1:].strip().partition(" ")
        everybody = self.answering.trial.voices
        names = {"both": everybody, "all": everybody} | {voice.name: (voice,) for voice in everybody}
        if word in ("bye", "exit", "quit"):
            return False
        if word == "system":
            self.system, self.history = rest.strip() or None, {}
        elif word == "reset":
            self.history = {}
        elif word in names:
            self.voices = names[word]
        else:
            for line in HELP:
                say(line, err=True)
        return True

    def _turns(self, voice: "Voice") -> list[dict[str, Any]]:
        """Return the messages of a model so far, or the system message if there are none."""
        first = [{"role": "system", "content": self.system}] if self.system is not None else []
        return self.history.get(voice.name, first)


def messages_typed() -> Iterator[str]:
    """Yield each message: a line, or the lines between two marks."""
    while (line := read_line(">>> ")) is not None:
        if not line.lstrip().startswith(QUOTE):
            yield line
            continue
        lines = [line.lstrip().removeprefix(QUOTE)]
        while not lines[-1].rstrip().endswith(QUOTE):
            more = read_line("... ")
            if more is None:
                break
            lines.append(more)
        yield "\n".join(lines).rstrip().removesuffix(QUOTE).strip("\n")
