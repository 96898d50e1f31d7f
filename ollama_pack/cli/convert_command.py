"""``ollama-pack convert``."""

from pathlib import Path
from typing import Any

import click

from ollama_pack.cli import options
from ollama_pack.cli.documents import base_facts, lora_facts, report_facts
from ollama_pack.cli.speech import Speaker, print_json


@click.command("convert")
@options.directory
@options.base
@options.outtype
@click.option(
    "--out", type=options.PATH, default=None, metavar="FILE", help="The GGUF file; in DIR if absent."
)
@options.speech
def command(*, directory: Path, base: str, outtype: str, out: Path | None, **speech: Any) -> None:
    """Write the GGUF LoRA file of the adapter in DIR, and prove its numbers.

    \b
    Example:
      ollama-pack convert ada-lovelace-lora/ --base vicuna:7b --out ada.gguf
    """
    from ollama_pack.pipeline import GGUF_NAME, Request, convert, settle

    speaker = Speaker.of(speech)
    work = settle(Request(directory=directory, base=base, outtype=outtype), speaker.note)
    lora, report = convert(work, out or directory / GGUF_NAME, outtype, speaker.note)
    if speech["as_json"]:
        facts = {"base": base_facts(work.base), "lora": lora_facts(lora), "proofs": [report_facts(report)]}
        print_json("convert", facts)
    else:
        click.echo(lora.path)
