"""The command ``ollama-pack push``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli import options
from ollama_pack.cli.events.options import telling
from ollama_pack.cli.oci_place import oci_facts, oci_place
from ollama_pack.cli.output import Console, print_json
from ollama_pack.cli.say import say

if TYPE_CHECKING:
    from ollama_pack.pipeline.push import Pushed


@click.command("push")
@click.argument("directory", metavar="DIR", type=options.PATH, shell_complete=options.DIRECTORY_PATHS)
@oci_place
@telling
@options.speech
def push_command(*, directory: Path, place: str, plain_http: bool, **chosen: Any) -> None:
    """Push the release or the build in the folder DIR to an OCI registry.

    Everything that is recorded of the folder is proved first. Then its files are sent, those that
    the registry has already excepted, and the manifest last. The base is not sent: the manifest
    names it. The login is that of docker login. This needs the extra oci.

    \b
    Example:
      ollama-pack release ada-lovelace-lora/ ada-lovelace:1.0 --out dist/
      ollama-pack push dist/ oci://registry.example.com/team/ada-lovelace:1.0
    """
    from ollama_pack.pipeline.push import push_folder
    from ollama_pack.pipeline.request import Request
    from ollama_pack.registry.reference import parse_oci_reference

    console = Console.of(chosen)
    reference = parse_oci_reference(place, plain_http=plain_http)
    pushed = push_folder(Request(directory=directory), reference, console.stage_done, console.progress)
    facts = pushed_facts(pushed)
    console.made("push", facts)
    if chosen["as_json"]:
        print_json("push", facts)
    elif not console.for_programs:
        console.stage_done("run", f"ollama-pack pull {pushed.place}")
        say(pushed.pinned)


def pushed_facts(pushed: "Pushed") -> dict[str, Any]:
    """Return the JSON object of a release that was pushed."""
    return {"place": pushed.pinned, **oci_facts(pushed), "bytes_sent": pushed.sent}
