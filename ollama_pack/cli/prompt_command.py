"""The command ``ollama-pack prompt``."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli import options, path_types
from ollama_pack.cli.arguments import was_typed
from ollama_pack.cli.base_view import is_base, is_model
from ollama_pack.cli.events.terminal import STAGE_WIDTH
from ollama_pack.cli.json_output import report_facts
from ollama_pack.cli.option_values import not_empty
from ollama_pack.cli.output import print_json
from ollama_pack.cli.say import say, say_result

_OF_BUILD = ("adapter", "base", "template", "prompt", "system", "parameters")
"""The options that say how a model is built of an adapter."""

if TYPE_CHECKING:
    from ollama_pack.chat.renderer import ChatRenderer
    from ollama_pack.ollama.locations import OllamaLocations
    from ollama_pack.pipeline.prompt.view import PromptPair, PromptView
    from ollama_pack.verify.prompt import ComparedPrompt


@click.command("prompt")
@options.source
@options.adapter
@options.base
@options.prompt
@options.model_store
@click.option(
    "--messages",
    type=path_types.FILE,
    default=None,
    metavar="FILE",
    help="Show this conversation: a JSON list of messages, or an object with messages and tools.",
)
@click.option(
    "--against",
    default=None,
    callback=not_empty,
    metavar="VERSION|daemon",
    help="The release of Ollama, such as 0.12; or what the daemon itself renders for a MODEL that it has.  "
    "[default: computed for the daemon that answers, else for the latest]",
)
@click.option("--go", is_flag=True, help="Print only the TEMPLATE that is derived and proved.")
@click.option("-v", "--verbose", is_flag=True, help="List every conversation.")
@options.as_json
def prompt_command(*, source: Path, **chosen: Any) -> None:
    """Show the prompts that a model was trained with, and those that Ollama sends, side by side.

    They are compared on a fixed set of conversations. Some are counted apart, because chat templates
    or Ollama treat them in a way of their own. For an adapter in DIR, the chat template that was saved
    with it counts; for a MODEL or a GGUF file, the one in the GGUF. One conversation is shown, with its
    special tokens in brackets, line ends as \\n, and ! between lines that differ. Nothing is left behind.

    \b
    Examples:
      ollama-pack prompt ada-lovelace-lora/
      ollama-pack prompt ada-lovelace-lora/ --against 0.12 --messages talk.json
      ollama-pack prompt vicuna:7b --against daemon
    """
    from ollama_pack.pipeline.prompt.sent import DAEMON
    from ollama_pack.pipeline.prompt.verdict import chat_clock
    from ollama_pack.pipeline.prompt.view import by_daemon, proved_template, view_prompts
    from ollama_pack.pipeline.trial.messages import read_messages

    _require_used(source)
    given = read_messages(chosen["messages"]) if chosen["messages"] is not None else None
    with chat_clock() as renderer, ExitStack() as asked:
        renderer.start()
        pair = _pair_of(source, chosen, renderer)
        if chosen["against"] == DAEMON and is_model(source):
            pair = asked.enter_context(by_daemon(pair, str(source), _locations(chosen)))
        if chosen["go"]:
            say_result(proved_template(pair, renderer))
            return
        view = view_prompts(pair, renderer, given)
    if chosen["as_json"]:
        print_json("prompt", prompt_facts(view))
        return
    for label, line in _summary(view, verbose=chosen["verbose"]):
        say(line, label, level="")


def _pair_of(source: Path, chosen: dict[str, Any], renderer: "ChatRenderer") -> "PromptPair":
    """Return the prompts of what the argument names."""
    from ollama_pack.pipeline.prompt import view as prompt_view
    from ollama_pack.pipeline.request import Request

    against: str = chosen["against"]
    if source.is_file():
        return prompt_view.pair_of_file(source, _locations(chosen), against)
    if is_model(source):
        return prompt_view.pair_of_installed(str(source), _locations(chosen), against)
    request = Request(directory=source, store=chosen["store"], **{key: chosen[key] for key in _OF_BUILD})
    return prompt_view.pair_of_adapter(request, against, renderer)


def _locations(chosen: dict[str, Any]) -> "OllamaLocations":
    """Return the daemon and the stores that the command asks."""
    from ollama_pack.ollama.locations import locations_from

    return locations_from(os.environ, store=chosen["store"])


def _require_used(source: Path) -> None:
    """Reject options that say how a model is built, where nothing is built.

    Raises:
        click.UsageError: there is such an option, and the argument is a file or a model.
    """
    given = [key for key in _OF_BUILD if was_typed(key)]
    if given and is_base(source):
        option = "--parameter" if given[0] == "parameters" else f"--{given[0]}"
        raise click.UsageError(f"{option} is for an adapter in DIR, but {source} is a file or a model.")


def _summary(view: "PromptView", *, verbose: bool) -> Iterator[tuple[str, str]]:
    """Yield labels with lines: who makes the prompts, the figures, and one conversation on both sides."""
    from ollama_pack.cli.side_by_side import heading, side_by_side, terminal_width

    pair, proof = view.pair, view.proof
    left = "in GGUF" if pair.is_of_gguf else "trained"
    yield _row(
        left, f"the chat template in {pair.trained.origin}" if pair.is_of_gguf else pair.trained.origin
    )
    if pair.is_of_gguf:
        yield _row(
            "", "ollama-pack prompt DIR  compares with the chat template that an adapter was trained with"
        )
    yield _row("sent", pair.sender)
    for note in pair.notes:
        yield _row("", note)
    if pair.sent.system:
        yield _row("system", pair.sent.system)
    yield _row("prompt", proof.result.summary)
    for at, (name, some) in enumerate(proof.special.items()):
        yield _row(
            "" if at else "apart", f"{name}: {sum(each.is_equal for each in some)} of {len(some)} equal"
        )
    if verbose:
        for each in (*proof.plain, *chain.from_iterable(proof.special.values())):
            yield _row("", f"{each.name}: {each.state}")
    shown = view.given or view.telling
    yield "", ""
    yield "", f"{shown.name}: {shown.state}"
    if shown.trained is not None:
        width = terminal_width()
        rows = side_by_side(shown.trained, shown.sent or "", pair.special, width)
        yield from (("", row) for row in (heading(left, "sent", width), *rows))


def _row(label: str, text: str) -> tuple[str, str]:
    """Return a label and a text for one line of the output."""
    return f"{label:<{STAGE_WIDTH}}", " ".join(text.splitlines())


def prompt_facts(view: "PromptView") -> dict[str, Any]:
    """Return the JSON object of the prompts of a model."""
    pair = view.pair
    version = pair.base.version
    special = [(kind, each) for kind, some in view.proof.special.items() for each in some]
    return {
        "trained": pair.trained.origin,
        "sender": pair.sent.sender.name.lower(),
        "ollama": "" if version is None else ".".join(map(str, version)),
        "system": pair.sent.system,
        "changes": list(pair.notes),
        "proofs": [report_facts(view.proof.result)],
        "conversations": [
            *(_compared_facts("plain", each) for each in view.proof.plain),
            *(_compared_facts(kind, each) for kind, each in special),
            *([_compared_facts("given", view.given)] if view.given else []),
        ],
    }


def _compared_facts(kind: str, compared: "ComparedPrompt") -> dict[str, Any]:
    """Return the JSON object of the two prompts of a conversation."""
    return {
        "kind": kind,
        "name": compared.name,
        "equal": compared.is_equal,
        "trained": compared.trained,
        "sent": compared.sent,
    }
