"""The command ``ollama-pack inspect``."""

from pathlib import Path
from typing import Any

import click

from ollama_pack.cli import options, path_types
from ollama_pack.cli.base_view import is_base, show_base
from ollama_pack.cli.inspect_view import explain, run_facts, show_run
from ollama_pack.cli.output import error_facts, print_json
from ollama_pack.cli.say import say
from ollama_pack.errors import UsageError


@click.command("inspect")
@click.argument(
    "directory", metavar="DIR", type=path_types.SOURCE_OR_MODEL, shell_complete=options.MODELS_OR_PATHS
)
@options.adapter
@options.allow_noop
@options.base
@options.proof
@options.model_store
@click.option("--explain", "file", default=None, metavar="FILE", help="Explain what one file is for.")
@click.option(
    "--report",
    type=path_types.PATH,
    default=None,
    metavar="FILE",
    help="Write an HTML page with charts to FILE.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print every file and every module.")
@options.as_json
@click.pass_context
def inspect_command(ctx: click.Context, /, *, directory: Path, **chosen: Any) -> None:
    """Show what the directory DIR contains and whether it can be built, or show a base.

    Every file is listed with its purpose, and with whether a build uses it. Pickles are never loaded; the
    output says what they would import. If DIR is a GGUF file or the name of an installed model, the output
    shows the facts that the proof of the base compares with an adapter.

    Nothing is written. The weights of the adapter are read, to find NaN and infinity and to measure ΔW. The
    exit code is the one that a build would have, as far as this command can tell.

    \b
    Examples:
      ollama-pack inspect ada-lovelace-lora/
      ollama-pack inspect ada-lovelace-lora/ --explain training_args.bin
      ollama-pack inspect ada-lovelace-lora/ --report ada.html
      ollama-pack inspect vicuna:7b
    """
    file, report, verbose = chosen.pop("file"), chosen.pop("report"), chosen.pop("verbose")
    store, as_json = chosen.pop("store"), chosen.pop("as_json")
    if file is not None:
        explain(directory, file, as_json=as_json)
        ctx.exit(0 if (directory / file).exists() else UsageError.exit_code)
    if is_base(directory):
        show_base(directory, store, as_json=as_json)
        return
    from ollama_pack.pipeline.request import Request
    from ollama_pack.report.run import report_on_run

    run = report_on_run(Request(directory=directory, **chosen))
    if report is not None:
        from ollama_pack.report.html import write_report

        write_report(run, report)
        say(f"wrote {report}", err=True)
    if as_json:
        print_json("inspect", {**run_facts(run), "problem": run.problem and error_facts(run.problem)})
    else:
        show_run(run, verbose=verbose)
    ctx.exit(run.problem.exit_code if run.problem else 0)
