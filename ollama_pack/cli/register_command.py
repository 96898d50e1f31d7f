"""The command ``ollama-pack register``."""

from pathlib import Path
from typing import Any

import click

from ollama_pack.cli import arguments, options, path_types
from ollama_pack.cli.build_command import next_commands
from ollama_pack.cli.events.options import telling
from ollama_pack.cli.json_output import receipt_facts
from ollama_pack.cli.output import Console, print_json
from ollama_pack.cli.say import say

REGISTER = ("via", "store", "load", "allow_noop")
"""The options that `Request` takes under the same names."""


@click.command("register")
@click.argument("directory", metavar="DIR", type=path_types.PATH, shell_complete=options.DIRECTORY_PATHS)
@options.name
@options.registration
@options.load
@options.proof
@options.allow_noop
@telling
@options.speech
def register_command(*, directory: Path, name: str, name_option: str, **chosen: Any) -> None:
    """Register the model in the folder DIR in Ollama.

    DIR contains Modelfile.txt and the adapter or the merged model that it names, as an
    earlier build wrote them. DIR may also be the directory of the adapter, if the build wrote
    into DIR/ollama. Nothing is converted again. The prompts of the model are proved, also in the
    daemon, as in a build.

    \b
    Examples:
      ollama-pack build ada-lovelace-lora/ --via folder --out release/
      ollama-pack register release/ ada-lovelace
    """
    from ollama_pack.pipeline.register import register
    from ollama_pack.pipeline.request import Request

    arguments.require_store_is_used(chosen["via"], chosen["store"])
    console = Console.of(chosen)
    request = Request(
        directory=directory,
        name=arguments.one_name(name, name_option),
        load_here=arguments.asks_for_load(chosen),
        **{key: chosen[key] for key in (*REGISTER, *options.PROOF)},
    )
    receipt = register(request, console.stage_done, console.progress)
    facts = {"name": receipt.name, "delivery": receipt_facts(receipt)}
    console.made("register", facts)
    if chosen["as_json"]:
        print_json("register", facts)
    elif not console.for_programs:
        for line in next_commands(receipt):
            console.stage_done("run", line)
        say(receipt.name)
