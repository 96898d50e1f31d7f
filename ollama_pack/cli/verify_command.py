"""The command ``ollama-pack verify``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli import options
from ollama_pack.cli.events.options import telling
from ollama_pack.cli.json_output import verdict_facts
from ollama_pack.cli.output import Console, print_json
from ollama_pack.cli.say import say

if TYPE_CHECKING:
    from ollama_pack.pipeline.policy import Policy
    from ollama_pack.signing import Signer


@click.command("verify")
@click.argument(
    "source", metavar="DIR|MODEL", type=options.PATH_OR_NAME, shell_complete=options.MODELS_OR_PATHS
)
@options.model_store
@options.load
@options.proof
@options.allow_noop
@click.option(
    "--key",
    type=options.PATH,
    default=None,
    metavar="FILE",
    help="Public key of who must have signed the folder.",
)
@click.option(
    "--identity", default="", metavar="ADDRESS", help="Who must have signed the folder with Sigstore."
)
@click.option("--identity-provider", default="", metavar="ADDRESS", help="Provider that knows this identity.")
@click.option(
    "--policy",
    type=options.PATH,
    default=None,
    metavar="FILE",
    help="What is required of the folder: who signed it, on which base, with which proofs.",
)
@telling
@options.speech
def verify_command(*, source: str, **chosen: Any) -> None:
    """Prove again everything that is recorded of a build's folder, or of an installed model.

    For the folder DIR these are the files and Modelfile.txt against ollama-pack.lock, every
    number of the adapter, the base, the prompts, and that a daemon loads the model and renders
    these prompts. For an installed MODEL they are its blobs, every number of its adapter, its
    base, and that it loads and renders its prompts as they are computed. What cannot be proved
    on this machine is told. Nothing is registered or changed.

    \b
    Example:
      ollama-pack verify release/
      ollama-pack verify dist/ --key public.pem
      ollama-pack verify dist/ --policy policy.toml
      ollama-pack verify ada-lovelace
    """
    from ollama_pack.pipeline.request import Request
    from ollama_pack.pipeline.verify import verify_release

    console = Console.of(chosen)
    chosen_options = {key: chosen[key] for key in ("store", "load", "allow_noop", *options.PROOF)}
    request = Request(directory=Path(source), **chosen_options)
    verdicts = verify_release(request, console.stage_done, console.progress, _signer_of(chosen))
    facts = {"source": source, **verdict_facts(verdicts)}
    console.made("verify", facts)
    if chosen["as_json"]:
        print_json("verify", facts)
    elif not console.for_programs:
        say(source)


def _signer_of(chosen: Mapping[str, Any]) -> "Signer | Policy | None":
    """Return who must have signed a release, or the policy that says so; None if nobody is named.

    Raises:
        click.UsageError: a key and an identity are named, one of them beside a policy, or an identity without
            its provider.
    """
    from ollama_pack.pipeline.policy import read_policy
    from ollama_pack.signing import Signer

    identity = (chosen["identity"], chosen["identity_provider"])
    if chosen["policy"] is not None:
        if chosen["key"] is not None or any(identity):
            raise click.UsageError("--policy says who must have signed, so nobody else can be named.")
        return read_policy(chosen["policy"])
    if chosen["key"] is not None and any(identity):
        raise click.UsageError("--key and --identity name two kinds of signatures.")
    if any(identity) and not all(identity):
        raise click.UsageError("--identity and --identity-provider belong together.")
    return Signer(chosen["key"], *identity) if chosen["key"] or all(identity) else None
