"""Defines the arguments and options that several commands share."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from ollama_pack.cli.completion import (
    adapters_of_directory,
    checkpoints_of_run,
    installed_models,
    known_bases,
    names_of,
    shipped_templates,
)
from ollama_pack.cli.option_values import bounded, known_name, not_empty, only_one, split_pairs
from ollama_pack.cli.path_types import PATH, SOURCE_OR_MODEL, SOURCE_OR_NAME, SOURCE_PATH
from ollama_pack.pipeline.request import (
    ACCEPTABLE_MISMATCHES,
    OUTTYPES,
    PROMPT_CHOICES,
    VIA_CHOICES,
)

CommandFunction = TypeVar("CommandFunction", bound=Callable[..., Any])


DIRECTORY_PATHS = names_of(path="dir")
MODELS_OR_PATHS = names_of(installed_models, path="file")
"""Complete what a command takes besides directories: a model, or a file."""


def combine(*options: Callable[[Any], Any]) -> Callable[[CommandFunction], CommandFunction]:
    """Return a decorator that adds several options in this order."""

    def decorate(function: CommandFunction) -> CommandFunction:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


directory = click.argument("directory", metavar="DIR", type=SOURCE_PATH, shell_complete=DIRECTORY_PATHS)
source = click.argument(
    "source", metavar="DIR|MODEL|GGUF", type=SOURCE_OR_MODEL, shell_complete=MODELS_OR_PATHS
)
directories = click.argument(
    "directories", metavar="DIR...", nargs=-1, required=True, type=SOURCE_PATH, shell_complete=DIRECTORY_PATHS
)
sources = click.argument(
    "arguments",
    metavar="DIR... [NAME]",
    nargs=-1,
    required=True,
    type=SOURCE_OR_NAME,
    shell_complete=DIRECTORY_PATHS,
)
sources_or_models = click.argument(
    "arguments", metavar="[DIR]... [NAME]", nargs=-1, type=SOURCE_OR_NAME, shell_complete=DIRECTORY_PATHS
)
"""DIR as in `sources`; without any, the models that ollama-pack.toml names."""

tag = click.option("--tag", default="", metavar="VERSION", help="Version of each model whose name has none.")
name_option = click.option(
    "--name", "name_option", default="", help="Name of the model.  [default: the name of the directory]"
)

name = combine(click.argument("name", metavar="[NAME]", required=False, default=""), name_option)
adapter = click.option(
    "--adapter",
    multiple=True,
    callback=only_one,
    metavar="NAME",
    shell_complete=names_of(adapters_of_directory),
    help="Use this adapter of several in DIR.  [default: the one at the top, or the only one]",
)

checkpoint = click.option(
    "--checkpoint",
    default=None,
    callback=not_empty,
    metavar="N|latest|best|all",
    shell_complete=names_of(checkpoints_of_run),
    help="Build a checkpoint of the run in DIR as the tag checkpoint-N, or all checkpoints.",
)

checkpoints_to_try = click.option(
    "--checkpoint",
    multiple=True,
    metavar="N|latest|best|all",
    shell_complete=names_of(checkpoints_of_run),
    help="Try this checkpoint of the run in DIR; may be repeated, and all of them answer side by side.",
)

load = click.option(
    "--load/--no-load",
    default=True,
    show_default=True,
    help="Let the daemon load the model, and compare its answers with those of the base. If --load is given "
    "and no daemon answers, llama.cpp does that (the extra try).",
)

allow_noop = click.option("--allow-noop", is_flag=True, help="Accept an adapter that changes nothing.")
scaling = combine(
    click.option(
        "--weight",
        "weights",
        type=float,
        multiple=True,
        callback=bounded,
        metavar="W",
        help="Weight of one DIR, given once for each DIR: the adapters are summed with these weights.",
    ),
    click.option(
        "--scale",
        type=float,
        default=1.0,
        show_default=True,
        callback=bounded,
        help="Multiply the whole adapter by this number.",
    ),
    allow_noop,
)

base = click.option(
    "--base",
    default="",
    metavar="MODEL|ID|PATH",
    shell_complete=names_of(known_bases, installed_models, path="file"),
    help="The base: an Ollama model (vicuna:7b), a Hugging Face id, a GGUF file, or a directory with a "
    "config.json.  [default: FROM in Modelfile.txt, else base_model_name_or_path]",
)

PROOF = ("strict", "base_mismatch_ok", "online")
"""The parameters that the options of `proof` add to a command."""

proof = combine(
    click.option(
        "--strict",
        is_flag=True,
        help="Fail if the base may differ from the one that the adapter was trained on.",
    ),
    click.option(
        "--base-mismatch-ok",
        type=click.Choice(ACCEPTABLE_MISMATCHES),
        multiple=True,
        metavar="CODE",
        help="Accept the base despite the mismatch CODE; may be repeated.",
    ),
    click.option(
        "--online",
        is_flag=True,
        help="Ask Hugging Face or Ollama's registry about a base that is unknown on this machine.",
    ),
)

outtype = click.option(
    "--outtype",
    type=click.Choice(OUTTYPES),
    default="f16",
    show_default=True,
    help="Type of the GGUF tensors. auto: the smallest type that loses nothing. q8_0: f16 for tensors whose "
    "rows are not a multiple of 32.",
)

SOURCE = ("adapter", "scale", "allow_noop", "base")
"""The parameters of a request that say which adapter is read, and for which base."""

template = click.option(
    "--template",
    default=None,
    metavar="NAME|FILE",
    shell_complete=names_of(shipped_templates, path="file"),
    help='Prompt template, or "" for none.  [default: that of the base]',
)
shaping = combine(
    click.option("--system", default=None, metavar="TEXT", help='System prompt, or "" for none.'),
    click.option(
        "--parameter",
        "parameters",
        multiple=True,
        callback=split_pairs,
        metavar="KEY=VALUE",
        help="A PARAMETER of the Modelfile, such as temperature=0.3; may be repeated.",
    ),
)
prompt = combine(
    template,
    click.option(
        "--prompt",
        type=click.Choice(PROMPT_CHOICES),
        default="auto",
        show_default=True,
        help="auto: the prompts that were trained, if they can be compared. inherit: those of the base. "
        "trained: fail unless they are proved.",
    ),
    shaping,
)


def store_option(help_text: str) -> Callable[[Any], Any]:
    """Return the option ``--store`` with its help: some commands write to the store, others only read it."""
    return click.option("--store", type=PATH, default=None, metavar="DIR", help=help_text)


def via(deliveries: Sequence[str], help_text: str) -> Callable[[Any], Any]:
    """Return the option ``--via`` for the deliveries that a command offers."""
    return click.option(
        "--via", type=click.Choice(deliveries), default="auto", show_default=True, help=help_text
    )


into = store_option("The Ollama model store.  [default: OLLAMA_MODELS, else ~/.ollama/models]")
delivery = combine(
    via(
        VIA_CHOICES,
        "Delivery: the daemon creates or pulls the model, or it is written to the store or a folder.",
    ),
    into,
)

registration = combine(
    via(VIA_CHOICES[:-1], "Delivery: the daemon creates or pulls the model, or it is written to the store."),
    into,
)

out = click.option(
    "--out",
    type=PATH,
    default=None,
    metavar="DIR",
    help="Directory for the GGUF file and Modelfile.txt.  [default: DIR/ollama]",
)

model_store = store_option("An Ollama model store.  [default: the daemon, or its store if none answers]")
model = click.argument(
    "model", metavar="NAME", callback=known_name, shell_complete=names_of(installed_models)
)
quiet = click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
speech = combine(
    as_json,
    click.option("-v", "--verbose", is_flag=True, help="Print details."),
    quiet,
)
