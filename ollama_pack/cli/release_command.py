"""The command ``ollama-pack release``."""

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli import arguments, merge_options, options, path_types
from ollama_pack.cli.batch import build_each
from ollama_pack.cli.build_command import plan_one
from ollama_pack.cli.events.options import telling
from ollama_pack.cli.json_output import outcome_facts
from ollama_pack.cli.output import Console, print_json
from ollama_pack.cli.say import say
from ollama_pack.cli.tasks import makes_several, tasks_of_each
from ollama_pack.disk.files import megabytes
from ollama_pack.pipeline.release.signing import SIGN_CHOICES, SIGNATURE_NAME, open_signer

if TYPE_CHECKING:
    from ollama_pack.pipeline.release.make import Release
    from ollama_pack.pipeline.request import Request


@click.command("release")
@options.sources_or_models
@options.name_option
@click.option(
    "--each",
    is_flag=True,
    help="Make a release of each DIR that changed, in a directory of its name. A failure does not stop the "
    "others; the exit code is the largest.",
)
@options.tag
@options.adapter
@options.checkpoint
@options.scaling
@options.base
@options.proof
@options.model_store
@options.load
@options.prompt
@options.outtype
@click.option("--out", type=path_types.PATH, required=True, metavar="DIR", help="Directory of the release.")
@click.option("--merge", is_flag=True, help="Merge the adapter into its base, and release one model file.")
@merge_options.merging
@click.option(
    "--report/--no-report",
    default=True,
    show_default=True,
    help="Add report.html, the page about the training run, which needs matplotlib.",
)
@click.option(
    "--cases",
    type=path_types.FILE,
    default=None,
    metavar="FILE",
    help="Cases of ollama-pack test; they must pass in llama.cpp (the extra try), or nothing is released.",
)
@click.option(
    "--sign",
    type=click.Choice(SIGN_CHOICES),
    default=None,
    help="Sign the release with a key, or with Sigstore, which identifies a CI job or asks in a browser.",
)
@click.option(
    "--key", type=path_types.FILE, default=None, metavar="FILE", help="Private key in PEM, for --sign key."
)
@click.option("--dry-run", is_flag=True, help="Print what would be made and replaced, and write nothing.")
@telling
@options.speech
def release_command(*, dry_run: bool, sign: str | None, key: Path | None, **chosen: Any) -> None:
    """Make a release of the adapter in DIR: model, proofs and papers in one directory.

    The release has the files of build --via folder, and release.json with all that was proved, an
    ML-BOM (CycloneDX), a provenance (SLSA) and a test result (in-toto) for a platform to sign, a
    model card, a report, and SHA256SUMS of everything. The same inputs make the same bytes, and
    the command verify checks all of it again.

    \b
    Examples:
      ollama-pack release ada-lovelace-lora/ ada-lovelace:1.0.0 --out dist/
      ollama-pack verify dist/
      ollama-pack register dist/ ada-lovelace:1.0.0
      ollama-pack release ada-lovelace-lora/ --cases ada.yaml --out dist/
      ollama-pack release ada-lora/ --checkpoint best --tag 1.0.0 --out dist/
      ollama-pack release --each collection/*-lora --tag 1.0.0 --out dist/
    """
    if (sign == "key") != (key is not None):
        raise click.UsageError("--sign key needs --key FILE, and --key FILE needs --sign key.")
    console = Console.of(chosen)
    several, which = makes_several(chosen), chosen["checkpoint"]
    sign_folder = open_signer(sign, key, os.environ) if sign and not dry_run else None

    def make(request: "Request", chosen: Mapping[str, Any]) -> dict[str, Any]:
        if dry_run:
            return plan_release(request, console, **of_release(chosen))
        return release_one(request, console, sign_folder, **of_release(chosen))

    def make_what_changed(request: "Request", chosen: Mapping[str, Any]) -> list[dict[str, Any]]:
        made = []
        for each in arguments.requests_of_checkpoints(request, chosen["checkpoint"]):
            unchanged = unchanged_facts(each, console, **of_release(chosen))
            if unchanged and sign_folder and each.out and not (each.out / SIGNATURE_NAME).exists():
                sign_folder(each.out)
            made.append(unchanged or make(each, chosen))
        return made

    if several:
        done, failed, code = build_each(tasks_of_each(chosen, console), make_what_changed, console)
    else:
        requests = arguments.requests_of_checkpoints(arguments.request_from(chosen), which)
        done, failed, code = [make(each, chosen) for each in requests], [], 0
    if chosen["as_json"]:
        print_releases(done, failed, kind="plan" if dry_run else "release", several=several or which == "all")
    click.get_current_context().exit(code)


def of_release(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a release that its request does not have."""
    return {"report": chosen["report"], "cases": chosen["cases"]}


def print_releases(
    done: list[dict[str, Any]], failed: list[dict[str, Any]], *, kind: str, several: bool
) -> None:
    """Print the JSON document of releases or plans, of one or of several."""
    if not several:
        print_json(kind, done[0])
        return
    kept = [each for each in done if each.get("unchanged")]
    made = [each for each in done if not each.get("unchanged")]
    print_json(f"{kind}s", {f"{kind}s": made, "unchanged": kept, "failed": failed})


def unchanged_facts(
    request: "Request", console: Console, *, report: bool, cases: Path | None
) -> dict[str, Any]:
    """Return the JSON object of a release that would not change, and report it; or an empty object."""
    from ollama_pack.pipeline.release.unchanged import unchanged_release

    record = unchanged_release(request, report=report, cases=cases)
    if not record:
        return {}
    assert request.out is not None, "the option is required"
    folder = request.out.as_posix()
    facts = {"name": str(record["model"]), "folder": folder, "unchanged": True}
    console.stage_done("unchanged", folder)
    console.made("release", {**facts, **recorded_result(record, folder)})
    return facts


def recorded_result(record: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Return what a record says of a release in the form of a command's result; ``before`` is the same."""
    sums = {each["name"]: f"sha256:{each['sha256']}" for each in record["files"]}
    model, manifest = record["files"][0], sums.get("ollama-manifest.json", "")
    digests = {"gguf": sums[model["name"]], "manifest": manifest}
    made = {"digest": digests["gguf"], "size": model["bytes"], "path": "", "proofs": record["proofs"]}
    return {
        "base": record["base"],
        "before": digests,
        "delivery": {"digest": manifest, "where": folder},
        "merged" if record["form"] == "merged" else "lora": made,
    }


def release_one(
    request: "Request",
    console: Console,
    sign_folder: Callable[[Path], Path] | None,
    *,
    report: bool,
    cases: Path | None,
) -> dict[str, Any]:
    """Make a release and sign it, print the commands that use it, and return its JSON object."""
    from ollama_pack.pipeline.release.make import make_release
    from ollama_pack.report.html import report_page

    made = make_release(
        request, report_page(request) if report else None, console.stage_done, console.progress, cases
    )
    for told in filter(None, (made.record["licenses"]["conflict"],)):
        console.stage_done("licences", told)
    console.stage_done("release", f"{made.folder}  {made.digest}")
    if sign_folder is not None:
        console.stage_done("sign", str(sign_folder(made.folder)))
    document = release_facts(made)
    console.made("release", document)
    if not console.for_programs:
        folder, name = shlex.quote(str(made.folder)), made.outcome.receipt.name
        console.stage_done("run", f"ollama-pack register {folder} {name}")
        say(made.folder)
    return document


def plan_release(request: "Request", console: Console, *, report: bool, cases: Path | None) -> dict[str, Any]:
    """Print what a release would make and what of its directory it would replace."""
    from ollama_pack.pipeline.lock import LOCK_NAME
    from ollama_pack.pipeline.release.papers.names import PAPER_NAMES, REPORT_NAME, require_release_folder
    from ollama_pack.pipeline.trial.cases import read_cases

    assert request.out is not None, "the option is required"
    require_release_folder(request.out)
    if cases is not None:
        read_cases(cases)
    document = plan_one(replace(request, via="folder"), console, quiet=console.for_programs)
    if not console.for_programs:
        papers = [LOCK_NAME, *(name for name in PAPER_NAMES if report or name != REPORT_NAME)]
        say(f"papers: {', '.join(papers)}", f"{'new':>12}  ")
        sizes = [path.stat().st_size for path in request.out.iterdir()] if request.out.is_dir() else []
        if sizes:
            say(f"replaced in {request.out}: {len(sizes)} files", f"{megabytes(sum(sizes)):>12}  ")
    return document


def release_facts(made: "Release") -> dict[str, Any]:
    """Return the JSON object of a release."""
    release = {"folder": made.folder.as_posix(), "digest": made.digest, "record": made.record}
    return {**outcome_facts(made.outcome), "release": release}
