"""The command ``ollama-pack merge``."""

from pathlib import Path
from typing import Any

import click

from ollama_pack.cli import arguments, merge_options, options, path_types
from ollama_pack.cli.events.options import telling
from ollama_pack.cli.json_output import base_facts, merged_facts
from ollama_pack.cli.output import Console, print_json
from ollama_pack.cli.say import say_result


@click.command("merge")
@options.directories
@options.adapter
@options.scaling
@options.base
@options.proof
@merge_options.merging
@click.option(
    "--out",
    type=path_types.PATH,
    required=True,
    metavar="FILE",
    help="The GGUF file to write.",
)
@click.option(
    "--report",
    type=path_types.PATH,
    default=None,
    metavar="FILE",
    help="Write an HTML page with what each weight keeps, drawn and as a table, to FILE.",
)
@telling
@options.speech
def merge_command(*, out: Path, report: Path | None, **chosen: Any) -> None:
    """Write the base with the adapter in DIR merged into it, as one GGUF file, and prove what it keeps.

    Every Ollama, LM Studio and llama.cpp runs such a file. Weights that the adapter does not change
    are copied byte for byte.

    \b
    Example:
      ollama-pack merge ada-lora/ --base smollm2.gguf --out ada.gguf
    """
    from ollama_pack.disk.locks import folder_lock
    from ollama_pack.pipeline.inputs import resolve_inputs
    from ollama_pack.pipeline.merging.daemon_base import receiving_bases
    from ollama_pack.pipeline.merging.merge import merge
    from ollama_pack.pipeline.prepare import prepare

    console = Console.of(chosen)
    request = arguments.unnamed_request(chosen, (*merge_options.MERGING,), out=out.parent, merge=True)
    if report is not None:
        from ollama_pack.report.merged import require_place_of_merge_page

        require_place_of_merge_page(report, request.directory)
    inputs = resolve_inputs(request)
    bases = receiving_bases(inputs.locations, out.parent, console.stage_done, console.progress)
    with folder_lock(out.parent, console.progress), bases as receive:
        work = prepare(inputs, console.stage_done, receive=receive)
        merged = merge(work, out, request, console.stage_done, console.progress)
    if report is not None:
        from ollama_pack.report.merged import render_merge
        from ollama_pack.report.page import write_page

        write_page(report, render_merge(merged, work.base))
        console.stage_done("report", str(report))
    facts = {"base": base_facts(work.base), "merged": merged_facts(merged)}
    console.made("merge", facts)
    if chosen["as_json"]:
        print_json("merge", facts)
    elif not console.for_programs:
        say_result(f"{merged.path}\n")
