"""Lets the models of a trial answer conversations, in llama.cpp or in a daemon."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ollama_pack.chat.renderer import ChatRenderer
from ollama_pack.chat.trained import Conversation
from ollama_pack.engine.answers import Asked, Hear, Said, Weights, unheard
from ollama_pack.errors import UsageError
from ollama_pack.pipeline.trial.trial import Trial, Voice, distinct_models

if TYPE_CHECKING:
    from ollama_pack.engine.llama import Llama
    from ollama_pack.ollama.daemon import Daemon

LLAMA_RUNNER, DAEMON_RUNNER = "llama", "daemon"

MOST_ANSWER_TOKENS = 512
"""The number of tokens after which an answer is cut off if no ``num_predict`` sets another one."""

FIXED: Mapping[str, Any] = {"temperature": 0.0, "seed": 1}
"""What makes answers the same each time."""

HearVoice = Callable[[Voice, str], object]


def unheard_voice(_voice: Voice, _piece: str) -> None:
    """Ignore a piece of an answer of a voice."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A conversation, and what each model answers.

    Attributes:
        conversation: the conversation.
        prompt: the text that the models got.
        answers: voice → answer.
    """

    conversation: Conversation
    prompt: str
    answers: Mapping[str, Said]


@dataclass(frozen=True, slots=True)
class Answering:
    """The models of a trial, ready to answer.

    Attributes:
        trial: the models and their prompts.
        renderer: what fills chat templates.
        llamas: GGUF file → llama.cpp with it; empty if a daemon runs the models.
        daemon: the daemon, or None.
        chosen: PARAMETERs that count more than those of the model.
    """

    trial: Trial
    renderer: ChatRenderer
    llamas: Mapping[Path, "Llama"] = field(default_factory=dict)
    daemon: "Daemon | None" = None
    chosen: Mapping[str, Any] = field(default_factory=dict)

    def answer(
        self,
        conversation: Conversation,
        hear: HearVoice = unheard_voice,
        voices: Sequence[Voice] | None = None,
        **more: Any,  # noqa: ANN401 — PARAMETERs
    ) -> Exchange:
        """Return what the models answer to a conversation, one after the other.

        Args:
            conversation: the messages, the last of which is answered.
            hear: called with each piece of an answer.
            voices: which of the models; None for all.
            more: PARAMETERs of this answer.

        Raises:
            InputError: the chat template does not take the conversation, or it is too long.
            DestinationError: llama.cpp ended, or the daemon does not answer.
        """
        prompt = self.trial.prompts.of(conversation, self.renderer)
        options = {"num_predict": MOST_ANSWER_TOKENS, **self.trial.options(self.chosen), **more}
        answers = {
            voice.name: self._say(voice, prompt, options, partial(hear, voice))
            for voice in voices or self.trial.voices
        }
        return Exchange(conversation, prompt, answers)

    def likelihoods(self, voice: Voice, prompt: str, answer: str) -> tuple[float, ...]:
        """Return the logarithm of the probability of each token of a given answer.

        Raises:
            UsageError: a daemon runs the models, which gives no probabilities.
            InputError: both together are too long.
            DestinationError: llama.cpp ended.
        """
        if self.daemon is not None:
            raise UsageError("A daemon does not tell how likely a given answer is.", hint="--with llama")
        return self.llamas[voice.model].likelihoods(prompt, answer, self._place(voice))

    def _say(self, voice: Voice, prompt: str, options: Mapping[str, Any], hear: Hear) -> Said:
        """Ask one voice a prompt, of the daemon or of llama.cpp."""
        if self.daemon is None:
            return self.llamas[voice.model].say(Asked(prompt, self._place(voice), options), hear)
        from ollama_pack.ollama.talk import say_raw

        started, pieces = time.monotonic(), []
        sent = self.trial.prompts.sent
        bos = sent.tokens.special.get("bos_token", "") if sent is not None and sent.adds_bos else ""

        def keep(piece: str) -> None:
            pieces.append(piece)
            hear(piece)

        tokens, ended = say_raw(self.daemon, voice.installed, prompt.removeprefix(bos), options, keep)
        return Said("".join(pieces), tokens, ended, time.monotonic() - started)

    def _place(self, voice: Voice) -> int | None:
        """Return the place of the adapter of a voice among those of its model."""
        adapters = self.llamas[voice.model].weights.adapters
        return adapters.index(voice.adapter) if voice.adapter is not None else None


@contextlib.contextmanager
def answering(
    trial: Trial,
    renderer: ChatRenderer,
    runner: str = LLAMA_RUNNER,
    chosen: Mapping[str, Any] = FIXED,
    hear_log: Hear = unheard,
) -> Iterator[Answering]:
    """Yield the models of a trial, ready to answer; what runs them ends with the block.

    Args:
        trial: the models and their prompts.
        renderer: what fills chat templates.
        runner: ``llama`` or ``daemon``.
        chosen: PARAMETERs that count more than those of the model.
        hear_log: called with each line that llama.cpp logs, from a thread.

    Raises:
        UsageError: llama.cpp is not installed, or the daemon has no such models.
        InputError: llama.cpp refuses a model.
        UnsupportedError: a model is larger than the memory of this machine.
        DestinationError: llama.cpp ended, or the daemon does not answer.
    """
    with contextlib.ExitStack() as running:
        if runner == DAEMON_RUNNER:
            told = replace(trial, voices=tuple(voice for voice in trial.voices if voice.installed))
            yield Answering(told, renderer, {}, running.enter_context(_daemon_for(told)), chosen)
            return
        from ollama_pack.engine.llama import running_llama

        context = int(chosen.get("num_ctx") or trial.context)
        llamas = {}
        for model, voices in distinct_models(trial.voices):
            adapters = tuple(voice.adapter for voice in voices if voice.adapter is not None)
            llamas[model] = running.enter_context(running_llama(Weights(model, adapters, context), hear_log))
        yield Answering(trial, renderer, llamas, None, chosen)


@contextlib.contextmanager
def _daemon_for(trial: Trial) -> "Iterator[Daemon]":
    """Yield the daemon, which has all models of a trial; they are unloaded at the end."""
    from ollama_pack.errors import DestinationError
    from ollama_pack.ollama.daemon import Daemon
    from ollama_pack.ollama.locations import locations_from

    with Daemon(locations_from(os.environ).address) as daemon:
        daemon.version()
        absent = [voice.name for voice in trial.voices if daemon.show(voice.installed) is None]
        if absent or not trial.voices:
            raise UsageError(
                f"The daemon does not have the models of {trial.name}.",
                where=daemon.address,
                hint="ollama-pack build DIR  and then  ollama-pack try NAME --with daemon",
                code="no-such-model",
            )
        yield daemon
        for voice in trial.voices:
            with contextlib.suppress(DestinationError):
                daemon.unload(voice.installed)
