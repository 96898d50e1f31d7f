"""The command ``ollama-pack try``."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli import options, path_types
from ollama_pack.cli.answer_columns import LiveAnswers, say_answers
from ollama_pack.cli.events.terminal import STAGE_WIDTH
from ollama_pack.cli.output import Console, print_json
from ollama_pack.cli.say import say
from ollama_pack.disk.files import megabytes

if TYPE_CHECKING:
    from ollama_pack.chat.trained import Conversation
    from ollama_pack.engine.answers import Said
    from ollama_pack.pipeline.request import Request
    from ollama_pack.pipeline.trial.answering import Answering, Exchange
    from ollama_pack.pipeline.trial.trial import Trial

_PROMPTS = ("sent", "trained")
_RUNNERS = ("llama", "daemon")
_REQUESTED = ("adapter", "base", "template", "system", "parameters", "store", "merge", *options.PROOF)


trial_options = options.combine(
    options.adapter,
    options.base,
    options.proof,
    click.option(
        "--prompt",
        type=click.Choice(_PROMPTS),
        default="sent",
        show_default=True,
        help="The prompt that Ollama sends, or the one of the chat template that was trained.",
    ),
    options.template,
    options.shaping,
    click.option("--merge", is_flag=True, help="Merge the adapter into its base, as build --merge does."),
    options.model_store,
    click.option("--seed", type=int, default=1, show_default=True, help="Seed of the answers."),
    click.option(
        "--max-tokens",
        type=click.IntRange(1, 1_000_000),
        default=None,
        metavar="N",
        help="Cut an answer off after N tokens.  [default: num_predict of the model, else 512]",
    ),
    click.option(
        "--with",
        "runner",
        type=click.Choice(_RUNNERS),
        default="llama",
        show_default=True,
        help="What runs the models: llama.cpp (the extra try), or the daemon that has them.",
    ),
)
"""What `try` and `test` have in common."""

WITHOUT_INVOCATION = "llama-cpp-python"
"""The library that ignores the tokens that invoke an aLoRA; llama-server, in xllamacpp, does not."""


@click.command("try")
@options.source
@click.argument("questions", metavar="[PROMPT]...", nargs=-1)
@options.checkpoints_to_try
@click.option(
    "--messages",
    type=path_types.FILE,
    default=None,
    metavar="FILE",
    help="Ask the conversations of FILE: a JSON list of messages, or JSON lines (.jsonl).",
)
@trial_options
@click.option(
    "--report",
    type=path_types.PATH,
    default=None,
    metavar="FILE",
    help="Write an HTML page with the questions, the answers, their times and the settings to FILE.",
)
@options.as_json
@click.option("-v", "--verbose", is_flag=True, help="Print details, and the log of llama.cpp.")
@options.quiet
def try_command(*, source: Path, questions: Sequence[str], report: Path | None, **chosen: Any) -> None:
    """Talk to the adapted model and its base, side by side, before anything is built.

    Without a PROMPT this is a chat: /help lists its commands, and Ctrl-D ends it.

    An adapter in DIR is converted into a temporary folder. llama.cpp answers in a process of its
    own, at temperature 0, with the prompt, the stops and the parameters that the model has in
    Ollama. Nothing is registered.

    \b
    Examples:
      ollama-pack try ada-lovelace-lora/ "Who are you?" --base smollm2.gguf
      ollama-pack try ada-lovelace
      ollama-pack try ada-lora/ "Who are you?" --checkpoint 210 --checkpoint best
    """
    from ollama_pack.chat.trained import Conversation

    texts = [os.fsencode(text).decode("utf-8", "replace") for text in questions]  # whatever the locale
    talks = [Conversation(text, [{"role": "user", "content": text}]) for text in texts]
    if chosen["messages"] is not None:
        talks += conversations_to_answer(chosen["messages"])
    if not talks and chosen["as_json"]:
        raise click.UsageError("--json needs a PROMPT or --messages.")
    if report is not None:
        from ollama_pack.report.page import require_place_of_page

        require_place_of_page(report, source)
    with opened_trial(trial_request(source, chosen), chosen, Console.of(chosen)) as answering:
        if not talks:
            from ollama_pack.cli.chat import Chat

            exchanges = Chat(answering, answering.trial.voices).run()
        else:
            exchanges = [_answered(answering, talk, quiet=chosen["as_json"]) for talk in talks]
        if chosen["as_json"]:
            print_json("try", trial_facts(answering, exchanges))
        if report is not None:
            _write_report(report, answering, exchanges)


def _write_report(path: Path, answering: "Answering", exchanges: "Sequence[Exchange]") -> None:
    """Write the page of a trial."""
    from ollama_pack.report.page import write_page
    from ollama_pack.report.trial import render_trial

    write_page(path, render_trial(answering, exchanges))
    say(f"wrote {path}", err=True)


def conversations_to_answer(path: Path) -> "list[Conversation]":
    """Return the conversations of a file, each up to the last message that is not the assistant's."""
    from dataclasses import replace

    from ollama_pack.pipeline.trial.messages import read_conversations, read_messages

    several = path.suffix.lower() in (".jsonl", ".ndjson")
    found = []
    for each in read_conversations(path) if several else (read_messages(path),):
        messages = list(each.messages)
        while len(messages) > 1 and messages[-1]["role"] == "assistant":
            messages.pop()
        found.append(replace(each, messages=messages))
    return found


def trial_request(source: Path, chosen: dict[str, Any]) -> "Request":
    """Return the request that the options of a trial describe."""
    from ollama_pack.pipeline.request import Request

    return Request(directory=source, via="store", **{key: chosen[key] for key in _REQUESTED})


@contextlib.contextmanager
def opened_trial(request: "Request", chosen: dict[str, Any], console: Console) -> "Iterator[Answering]":
    """Yield the models of a trial, ready to answer, and report what they are; they end with the block.

    Args:
        request: what is tried.
        chosen: the options of the command.
        console: reports the stages.
    """
    from ollama_pack.engine.answers import unheard
    from ollama_pack.pipeline.checkpoint_requests import requests_for
    from ollama_pack.pipeline.prepare import silent
    from ollama_pack.pipeline.prompt.verdict import chat_clock
    from ollama_pack.pipeline.trial.answering import answering
    from ollama_pack.pipeline.trial.sources import TrialSetting, prepare_trial

    with (
        tempfile.TemporaryDirectory(prefix="ollama-pack-try-") as folder,
        chat_clock() as renderer,
    ):
        setting = TrialSetting(
            renderer, Path(folder), chosen["prompt"], console.stage_done if chosen["verbose"] else silent
        )
        which = chosen.get("checkpoint") or ()
        requests = tuple(each for one in which for each in requests_for(request, one)) or (request,)
        trial = prepare_trial(requests, setting)
        console.stage_done("prompt", trial.prompts.origin)
        for text in trial.notes:
            console.stage_done("note", text)
        log = _say_log if chosen["verbose"] else unheard
        with answering(trial, renderer, chosen["runner"], _parameters_of(chosen), log) as ready:
            _tell_runners(ready, trial, console)
            yield ready


def _parameters_of(chosen: dict[str, Any]) -> dict[str, Any]:
    """Return the PARAMETERs that count more than those of the model."""
    from ollama_pack.modelfile.parameters import typed

    more = {} if chosen["max_tokens"] is None else {"num_predict": chosen["max_tokens"]}
    given: dict[str, Any] = {}
    for key, text in chosen["parameters"]:
        value = typed(key, text)
        given[key] = [*given.get(key, []), value] if key == "stop" else value
    return {"temperature": 0.0, "seed": chosen["seed"], **more, **given}


def _tell_runners(ready: "Answering", trial: "Trial", console: Console) -> None:
    """Report what runs the models, how long it took to load them, and the memory that they take."""
    if ready.daemon is not None:
        console.stage_done("daemon", ready.daemon.address)
    for model, llama in ready.llamas.items():
        took = f"loaded in {llama.load_seconds:.1f} s, {megabytes(llama.memory)} of memory"
        console.stage_done("llama", f"{llama.name}, {model.name} {took}")
        if WITHOUT_INVOCATION in llama.name and any(voice.activated for voice in trial.voices):
            console.stage_done(
                "note",
                f"{WITHOUT_INVOCATION} applies this aLoRA to every token; xllamacpp (extra try) does not",
            )


def _say_log(line: str) -> None:
    """Print a line that llama.cpp logs."""
    say(line, f"{'log':<{STAGE_WIDTH}}", err=True)


def _answered(answering: "Answering", talk: "Conversation", *, quiet: bool) -> "Exchange":
    """Return what the models answer, shown side by side unless `quiet`."""
    if not quiet:
        say(talk.name, level="")
    with LiveAnswers(answering.trial.voices, quiet=quiet) as live:
        exchange = answering.answer(talk, live.hear)
    if not quiet:
        say_answers(exchange.answers)
        say()
    return exchange


def trial_facts(answering: "Answering", exchanges: "Sequence[Exchange]") -> dict[str, Any]:
    """Return the JSON object of a trial."""
    trial = answering.trial
    return {
        "model": trial.name,
        "prompt": {"kind": trial.prompts.kind, "origin": trial.prompts.origin},
        "runners": runner_facts(answering),
        "parameters": trial.options(answering.chosen),
        "notes": list(trial.notes),
        "conversations": [
            {
                "name": each.conversation.name,
                "messages": list(each.conversation.messages),
                "prompt": each.prompt,
                "answers": [said_facts(name, said) for name, said in each.answers.items()],
            }
            for each in exchanges
        ],
    }


def runner_facts(answering: "Answering") -> list[dict[str, Any]]:
    """Return a JSON object for each llama.cpp that runs."""
    return [
        {
            "name": llama.name,
            "model": model.as_posix(),
            "load_seconds": llama.load_seconds,
            "memory": llama.memory,
        }
        for model, llama in answering.llamas.items()
    ]


def said_facts(voice: str, said: "Said") -> dict[str, Any]:
    """Return the JSON object of an answer."""
    return {
        "voice": voice,
        "text": said.text,
        "tokens": said.tokens,
        "ended": said.ended,
        "seconds": said.seconds,
    }
