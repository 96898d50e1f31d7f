"""The command ``ollama-pack verify``."""

from pathlib import Path
from typing import Any

import click

from ollama_pack.cli import options, path_types
from ollama_pack.cli.arguments import asks_for_load
from ollama_pack.cli.events.options import telling
from ollama_pack.cli.json_output import verdict_facts
from ollama_pack.cli.oci_place import plain_http
from ollama_pack.cli.output import Console, print_json
from ollama_pack.cli.say import say
from ollama_pack.cli.signed_by import signed_by, signer_of


@click.command("verify")
@click.argument(
    "source",
    metavar="DIR|MODEL|oci://…",
    type=path_types.DIRECTORY_OR_MODEL,
    shell_complete=options.MODELS_OR_PATHS,
)
@plain_http
@options.model_store
@options.load
@options.proof
@options.allow_noop
@signed_by
@telling
@options.speech
def verify_command(*, source: str, **chosen: Any) -> None:
    """Prove again everything that is recorded of a build's folder, of an installed model, or of a release.

    For the folder DIR these are the files and Modelfile.txt against ollama-pack.lock, every
    number of the adapter, the base, the prompts, and that a daemon loads the model and renders
    these prompts. For an installed MODEL they are its blobs, every number of its adapter, its
    base, and that it loads and renders its prompts as they are computed. A release in a registry
    is fetched and proved like a folder, with every blob that ollama pull would get. What cannot be
    proved on this machine is listed as not proved. Nothing is registered or changed.

    \b
    Examples:
      ollama-pack verify release/
      ollama-pack verify dist/ --key public.pem
      ollama-pack verify dist/ --policy policy.toml
      ollama-pack verify ada-lovelace
      ollama-pack verify oci://registry.example.com/team/ada-lovelace:1.0
    """
    from ollama_pack.pipeline.request import Request
    from ollama_pack.pipeline.verify import verify_release
    from ollama_pack.registry.reference import OCI_SCHEME, parse_oci_reference

    console = Console.of(chosen)
    chosen_options = {key: chosen[key] for key in ("store", "load", "allow_noop", *options.PROOF)}
    request = Request(directory=Path(source), load_here=asks_for_load(chosen), **chosen_options)
    signer, to = signer_of(chosen), (console.stage_done, console.progress)
    if source.startswith(OCI_SCHEME):
        from ollama_pack.pipeline.release.verify_remote import verify_remote

        place = parse_oci_reference(source, plain_http=chosen["plain_http"])
        verdicts = verify_remote(request, place, signer, *to)
    else:
        verdicts = verify_release(request, *to, signer)
    facts = {"source": source, **verdict_facts(verdicts)}
    console.made("verify", facts)
    if chosen["as_json"]:
        print_json("verify", facts)
    elif not console.for_programs:
        say(source)
