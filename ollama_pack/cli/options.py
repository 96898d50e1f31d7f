"""Options that several commands share, each named once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ollama_pack.errors import InputError
from ollama_pack.pipeline.request import ACCEPTABLE_MISMATCHES, LARGEST_WEIGHT, OUTTYPES, VIA_CHOICES

if TYPE_CHECKING:
    from ollama_pack.ollama.names import ModelName


CommandFunction = TypeVar("CommandFunction", bound=Callable[..., Any])


class AnyPath(click.Path):
    """A path that may or may not exist; what cannot be read is told where it is read."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; an empty one is an unset variable of a script, not this directory."""
        if value == "":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)


PATH = AnyPath(path_type=Path, readable=False)
PATH_OR_NAME = AnyPath(path_type=str, readable=False)  # a Path would make one of the two signs in https://


def split_pairs(
    _ctx: click.Context, _param: click.Parameter, texts: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Return ``KEY=VALUE`` texts as pairs, split at the first sign."""
    for text in texts:
        if text.find("=") < 1:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE, as in temperature=0.3")
    return tuple((text.partition("=")[0], text.partition("=")[2]) for text in texts)


def bounded(_ctx: click.Context, _param: click.Parameter, value: Any) -> Any:
    """Return a number, or several, none of which is too large to multiply with, or no number at all."""
    for number in value if isinstance(value, tuple) else (value,):
        if not abs(number) <= LARGEST_WEIGHT:
            raise click.BadParameter(f"{number:g} is no weight; {LARGEST_WEIGHT:g} is the most, either way")
    return value


def only_one(_ctx: click.Context, _param: click.Parameter, texts: Sequence[str]) -> str:
    """Return the one value, empty where none is given; the last of several would hide the others."""
    if len(texts) > 1:
        raise click.BadParameter("it may be given once; name the directory of each adapter instead")
    return texts[0] if texts else ""


def combine(*options: Callable[[Any], Any]) -> Callable[[CommandFunction], CommandFunction]:
    """Return one decorator that adds several options, in this order."""

    def decorate(function: CommandFunction) -> CommandFunction:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def known_name(_ctx: click.Context, _param: click.Parameter, text: str) -> "ModelName":
    """Return the name of a model that should be there: no legal one is made up for it."""
    from ollama_pack.ollama.names import parse_name

    try:
        return parse_name(text)
    except InputError as error:
        raise InputError(error.what) from error


def not_empty(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str:
    """Return what is given, empty where nothing is; an empty text is an unset variable of a script."""
    if text is not None and not text.strip():
        raise click.BadParameter("it is empty; leave it out, or give it a value")
    return (text or "").strip()


directory = click.argument("directory", metavar="DIR", type=PATH)
sources = click.argument("arguments", metavar="DIR... [NAME]", nargs=-1, required=True, type=PATH_OR_NAME)
name_option = click.option(
    "--name", "name_option", default="", help="What to call the model; from the directory if absent."
)

name = combine(click.argument("name", metavar="[NAME]", required=False, default=""), name_option)
adapter = click.option(
    "--adapter",
    multiple=True,
    callback=only_one,
    metavar="NAME",
    help="Which of several adapters in DIR; if absent the one at its top, or the only one.",
)

checkpoint = click.option(
    "--checkpoint",
    default=None,
    callback=not_empty,
    metavar="N|latest|best|all",
    help="Build a checkpoint of DIR, as the tag checkpoint-N; all: each of them.",
)

load = click.option(
    "--load/--no-load",
    default=True,
    show_default=True,
    help="Have the daemon load the model, and compare its answers with its base's.",
)

allow_noop = click.option("--allow-noop", is_flag=True, help="Take an adapter that changes nothing.")
scaling = combine(
    click.option(
        "--weight",
        "weights",
        type=float,
        multiple=True,
        callback=bounded,
        metavar="W",
        help="One for each DIR: their sum is built, each multiplied with its weight.",
    ),
    click.option(
        "--scale",
        type=float,
        default=1.0,
        show_default=True,
        callback=bounded,
        help="Multiply the whole adapter with it.",
    ),
    allow_noop,
)

base = click.option(
    "--base",
    default="",
    metavar="MODEL|ID|PATH",
    help="The base: an Ollama model (vicuna:7b), a Hugging Face id, a GGUF file, or a directory with its "
    "config.json. "
    "If absent: FROM in Modelfile.txt, else base_model_name_or_path.",
)

PROOF = ("strict", "base_mismatch_ok", "online")
"""What `proof` adds to what a command is given."""

proof = combine(
    click.option("--strict", is_flag=True, help="Refuse a base that may be another one than was trained on."),
    click.option(
        "--base-mismatch-ok",
        type=click.Choice(ACCEPTABLE_MISMATCHES),
        multiple=True,
        metavar="CODE",
        help="Take a base in spite of one disagreement, by its code; may be repeated.",
    ),
    click.option(
        "--online",
        is_flag=True,
        help="Ask Hugging Face or Ollama's registry about a base that nothing here knows.",
    ),
)

outtype = click.option(
    "--outtype",
    type=click.Choice(OUTTYPES),
    default="f16",
    show_default=True,
    help="Type of the GGUF tensors; auto: the smallest that loses nothing; q8_0: f16 where rows are no "
    "multiple of 32.",
)

prompt = combine(
    click.option(
        "--template", default="", metavar="NAME|FILE", help="Prompt template; if absent the base's own."
    ),
    click.option("--system", default="", metavar="TEXT", help="System prompt."),
    click.option(
        "--parameter",
        "parameters",
        multiple=True,
        callback=split_pairs,
        metavar="KEY=VALUE",
        help="A PARAMETER, as temperature=0.3; may be repeated.",
    ),
)


def store_option(help_text: str) -> Callable[[Any], Any]:
    """Return ``--store``, which means another thing where a model is put than where models are looked at."""
    return click.option("--store", type=PATH, default=None, metavar="DIR", help=help_text)


def via(ways: Sequence[str], help_text: str) -> Callable[[Any], Any]:
    """Return ``--via`` for the ways in that a command can take."""
    return click.option("--via", type=click.Choice(ways), default="auto", show_default=True, help=help_text)


into = store_option("The Ollama model store; OLLAMA_MODELS if absent, else the user's own.")
delivery = combine(
    via(VIA_CHOICES, "How it gets in: created or pulled by the daemon, into the model store, or files only."),
    into,
)

registration = combine(
    via(VIA_CHOICES[:-1], "How it gets in: created or pulled by the daemon, or into the model store."), into
)

out = click.option(
    "--out",
    type=PATH,
    default=None,
    metavar="DIR",
    help="Where the GGUF file and Modelfile.txt go; DIR itself if absent.",
)

model_store = store_option("An Ollama model store; the daemon's models if absent, where one answers.")
model = click.argument("model", metavar="NAME", callback=known_name)
quiet = click.option("-q", "--quiet", is_flag=True, help="Say only what went wrong.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
speech = combine(
    as_json,
    click.option("-v", "--verbose", is_flag=True, help="Say more."),
    quiet,
)
