"""The command ``ollama-pack push``."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli import options, path_types
from ollama_pack.cli.batch import build_each
from ollama_pack.cli.events.options import telling
from ollama_pack.cli.hub_place import plan_repository, push_to_repository
from ollama_pack.cli.oci_place import oci_facts, plain_http
from ollama_pack.cli.output import Console, print_json
from ollama_pack.cli.push_plan import told_plan
from ollama_pack.cli.say import say
from ollama_pack.cli.tasks import tasks_of_targets

if TYPE_CHECKING:
    from ollama_pack.pipeline.release.outgoing import Pushed
    from ollama_pack.pipeline.request import Request


@click.command("push")
@click.argument(
    "source",
    metavar="[DIR|MODEL]",
    type=path_types.DIRECTORY_OR_MODEL,
    required=False,
    shell_complete=options.MODELS_OR_PATHS,
)
@click.argument("place", metavar="[oci://HOST/NS/NAME:TAG]", required=False, default="")
@plain_http
@click.option(
    "--with-base",
    is_flag=True,
    help="Send the base too, so that nothing else is needed, and ollama pull can fetch the model.",
)
@click.option(
    "--mount",
    "sources",
    multiple=True,
    metavar="NS/NAME",
    help="Repository of the same registry that may have the base, whose blobs are then not sent again; "
    "may be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be moved and replaced, and send nothing.")
@options.model_store
@telling
@options.speech
def push_command(*, source: str | None, place: str, **chosen: Any) -> None:
    """Push the release or the build in the folder DIR, or an installed MODEL, to an OCI registry.

    First, everything that is recorded of the folder is proved again. Then the files that the
    registry does not have are sent, and last the manifest. The base of an adapter is sent only with
    --with-base; otherwise the manifest names it. A merged or an installed model is sent whole. A
    push that was interrupted continues where it stopped. The login is that of docker login. This
    needs the extra oci.

    A release that is pushed to hf://OWNER/NAME, or hf://OWNER/NAME@BRANCH, is one commit on the
    Hub, with its card. This needs the extra hub. Without DIR, the releases of the models in
    ollama-pack.toml are pushed to the targets that it names; a failure does not stop the others.

    With --dry-run the registry or the Hub is only asked what it has, and nothing is sent.

    \b
    Examples:
      ollama-pack release ada-lovelace-lora/ ada-lovelace:1.0 --out dist/
      ollama-pack push dist/ oci://registry.example.com/team/ada-lovelace:1.0
      ollama-pack push ada-lovelace oci://registry.example.com/team/ada-lovelace:1.0
      ollama-pack push dist/ hf://ada/ada-lovelace-gguf
    """
    console = Console.of(chosen)
    if not source:
        done, failed, code = build_each(tasks_of_targets(), partial(push_target, console, chosen), console)
        if chosen["as_json"]:
            key = "plans" if chosen["dry_run"] else "pushes"
            print_json("push_plans" if chosen["dry_run"] else key, {key: done, "failed": failed})
        click.get_current_context().exit(code)
    if not place:
        raise click.UsageError("Missing argument 'oci://HOST/NS/NAME:TAG', or hf://OWNER/NAME.")
    kind, facts = push_one(source, place, console, chosen)
    if chosen["as_json"]:
        print_json(kind, facts)


def push_target(
    console: Console, chosen: Mapping[str, Any], request: "Request", told: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Push the release of a model to one of the targets that ollama-pack.toml names."""
    _, facts = push_one(str(request.directory), told["target"], console, chosen)
    return [{"name": request.name, **facts}]


def push_one(
    source: str, place: str, console: Console, chosen: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Push one folder or model to a place, and return the kind and the content of its JSON document."""
    from ollama_pack.pipeline.release.outgoing import BaseOption
    from ollama_pack.pipeline.release.push import plan_push, push_to_registry
    from ollama_pack.pipeline.request import Request
    from ollama_pack.registry.reference import OCI_SCHEME, parse_oci_reference

    if place.startswith("hf://"):
        if chosen["dry_run"]:
            return "push_plan", told_plan(plan_repository(Path(source), place, console), console)
        return "hub", push_to_repository(Path(source), place, console)
    reference = parse_oci_reference(place, plain_http=chosen["plain_http"])
    request = Request(directory=Path(source), store=chosen["store"])
    asked = (request, reference, BaseOption(chosen["with_base"], chosen["sources"]))
    to = (console.stage_done, console.progress)
    if chosen["dry_run"]:
        return "push_plan", told_plan(plan_push(*asked, *to), console)
    pushed = push_to_registry(*asked, *to)
    facts = pushed_facts(pushed)
    console.made("push", facts)
    if not console.for_programs:
        console.stage_done("run", f"ollama-pack pull {pushed.place}")
        if pushed.ollama:
            console.stage_done("run", f"ollama pull {str(pushed.place).removeprefix(OCI_SCHEME)}")
        say(pushed.pinned)
    return "push", facts


def pushed_facts(pushed: "Pushed") -> dict[str, Any]:
    """Return the JSON object of a release that was pushed."""
    return {
        "place": pushed.pinned,
        **oci_facts(pushed),
        "bytes_sent": pushed.sent,
        "ollama": pushed.ollama,
        "base": pushed.base,
    }
