"""The command ``ollama-pack pull``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli import arguments, options, path_types
from ollama_pack.cli.build_command import next_commands
from ollama_pack.cli.events.options import telling
from ollama_pack.cli.json_output import receipt_facts
from ollama_pack.cli.oci_place import oci_facts, oci_place
from ollama_pack.cli.output import Console, print_json
from ollama_pack.cli.register_command import REGISTER
from ollama_pack.cli.say import say
from ollama_pack.cli.signed_by import signed_by, signer_of

if TYPE_CHECKING:
    from ollama_pack.pipeline.release.pull import Pulled


@click.command("pull")
@oci_place
@click.argument("name", metavar="[NAME]", required=False, default="")
@click.option(
    "--name",
    "name_option",
    default="",
    help="Name of the model.  [default: that of the repository, with its tag]",
)
@click.option(
    "--out",
    type=path_types.PATH,
    default=None,
    metavar="DIR",
    help="Leave the files in DIR, and register nothing.",
)
@options.registration
@options.load
@options.proof
@options.allow_noop
@signed_by
@telling
@options.speech
def pull_command(*, place: str, plain_http: bool, name: str, name_option: str, **chosen: Any) -> None:
    """Pull a release from an OCI registry, verify it, and register it in Ollama.

    Before anything is registered, every file is compared with its digest, and everything that the
    release records is proved again. Its signature is checked if --key, --identity or --policy says
    who must have signed. The base is the model that Modelfile.txt names: one that Ollama has, one
    that was pushed with the release, or one that Ollama can pull. A model that has no release is
    registered as it is. A pull that was interrupted continues where it stopped, and one that finds
    everything in place fetches nothing. The login is that of docker login. This needs the extra oci.

    \b
    Examples:
      ollama-pack pull oci://registry.example.com/team/ada-lovelace:1.0
      ollama-pack pull oci://registry.example.com/team/ada-lovelace:1.0 --out dist/
    """
    from ollama_pack.pipeline.release.pull import pull_release
    from ollama_pack.pipeline.request import Request
    from ollama_pack.registry.reference import parse_oci_reference

    arguments.require_store_is_used(chosen["via"], chosen["store"])
    console = Console.of(chosen)
    reference = parse_oci_reference(place, plain_http=plain_http)
    request = Request(
        directory=Path(),
        name=arguments.one_name(name, name_option),
        out=chosen["out"],
        load_here=arguments.asks_for_load(chosen),
        **{key: chosen[key] for key in (*REGISTER, *options.PROOF)},
    )
    to = (console.stage_done, console.progress)
    pulled = pull_release(request, reference, signer_of(chosen), *to)
    facts = pulled_facts(pulled)
    console.made("pull", facts)
    if chosen["as_json"]:
        print_json("pull", facts)
    elif not console.for_programs:
        for line in next_commands(pulled.receipt) if pulled.receipt else ():
            console.stage_done("run", line)
        say(pulled.receipt.name if pulled.receipt else pulled.folder)


def pulled_facts(pulled: "Pulled") -> dict[str, Any]:
    """Return the JSON object of a release that was pulled."""
    receipt = pulled.receipt
    return {
        "place": str(pulled.place),
        **oci_facts(pulled),
        "folder": pulled.folder.as_posix() if pulled.folder else "",
        "name": receipt.name if receipt else "",
        "delivery": receipt_facts(receipt) if receipt else None,
        "unchanged": pulled.unchanged,
    }
