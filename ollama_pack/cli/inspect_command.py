"""``ollama-pack inspect``."""

from pathlib import Path
from typing import Any

import click

from ollama_pack.cli import options
from ollama_pack.cli.base_view import is_base, show_base
from ollama_pack.cli.inspect_view import explain, facts_of_run, show_run
from ollama_pack.cli.output import error_facts, print_json


@click.command("inspect")
@options.directory
@options.adapter
@options.allow_noop
@options.base
@options.proof
@options.model_store
@click.option("--explain", "file", default=None, metavar="FILE", help="Say what one file is for.")
@click.option(
    "--report", type=options.PATH, default=None, metavar="FILE", help="Write a page with charts: FILE.html."
)
@click.option("-v", "--verbose", is_flag=True, help="Show every file of every directory, and every module.")
@options.as_json
@click.pass_context
def inspect_command(ctx: click.Context, /, *, directory: Path, **chosen: Any) -> None:
    """Show what the directory DIR holds, and whether it can be built; or what a base is.

    Every file is listed with what it is for, and whether a build uses it. Of pickles it is said what they
    would import; they are never loaded. In place of DIR a GGUF file, or the name of an installed model,
    shows what the proof of the base compares with an adapter.

    Nothing is written. The adapter's weights are looked through: what is not a number, and how large ΔW is.
    The exit code is the one a build would have, as far as that tells.

    \b
    Example:
      ollama-pack inspect ada-lovelace-lora/
      ollama-pack inspect ada-lovelace-lora/ --explain training_args.bin
      ollama-pack inspect ada-lovelace-lora/ --report ada.html
      ollama-pack inspect vicuna:7b
    """
    file, report, verbose = chosen.pop("file"), chosen.pop("report"), chosen.pop("verbose")
    store, as_json = chosen.pop("store"), chosen.pop("as_json")
    if file is not None:
        explain(directory, file, as_json=as_json)
        return
    if is_base(directory):
        show_base(directory, store, as_json=as_json)
        return
    from ollama_pack.pipeline.request import Request
    from ollama_pack.report.run import report_on_run

    seen = report_on_run(Request(directory=directory, **chosen))
    if report is not None:
        from ollama_pack.report.html import write_report

        write_report(seen, report)
    if as_json:
        print_json("inspect", {**facts_of_run(seen), "problem": seen.problem and error_facts(seen.problem)})
    else:
        show_run(seen, verbose=verbose)
    ctx.exit(seen.problem.exit_code if seen.problem else 0)
