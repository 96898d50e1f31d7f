"""The command ``ollama-pack convert``."""

from pathlib import Path
from typing import Any

import click

from ollama_pack.cli import arguments, options, path_types
from ollama_pack.cli.events.options import telling
from ollama_pack.cli.json_output import base_facts, lora_facts, report_facts
from ollama_pack.cli.output import Console, print_json
from ollama_pack.cli.say import say_result


@click.command("convert")
@options.directories
@options.adapter
@options.scaling
@options.base
@options.proof
@options.outtype
@click.option(
    "--out",
    type=path_types.PATH,
    default=None,
    metavar="FILE",
    help="The GGUF file to write.  [default: adapter_model.gguf in DIR/ollama]",
)
@telling
@options.speech
def convert_command(*, out: Path | None, **chosen: Any) -> None:
    """Write the adapter in DIR as a GGUF LoRA file, and verify its numbers.

    \b
    Examples:
      ollama-pack convert ada-lovelace-lora/ --base vicuna:7b --out ada.gguf
      ollama-pack convert a-lora/ b-lora/ --weight 1 --weight 2 --out both.gguf
    """
    from ollama_pack.disk.locks import folder_lock
    from ollama_pack.pipeline.convert import convert
    from ollama_pack.pipeline.inputs import resolve_inputs
    from ollama_pack.pipeline.prepare import GGUF_NAME, prepare

    console = Console.of(chosen)
    request = arguments.unnamed_request(chosen, ("outtype",))
    inputs = resolve_inputs(request)
    work = prepare(inputs, console.stage_done)
    path = out or inputs.output_dir / GGUF_NAME
    with folder_lock(path.parent, console.progress):
        lora, report = convert(work, path, request.outtype, console.stage_done)
    facts = {"base": base_facts(work.base), "lora": lora_facts(lora), "proofs": [report_facts(report)]}
    console.made("convert", facts)
    if chosen["as_json"]:
        print_json("convert", facts)
    elif not console.for_programs:
        say_result(f"{lora.path}\n")
