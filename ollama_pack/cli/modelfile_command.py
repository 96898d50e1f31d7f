"""The command ``ollama-pack modelfile``."""

from pathlib import Path
from typing import Any

import click

from ollama_pack.cli import options, path_types
from ollama_pack.cli.json_output import modelfile_facts
from ollama_pack.cli.output import Console, print_json
from ollama_pack.cli.say import say_result


@click.command("modelfile")
@options.directory
@options.adapter
@options.allow_noop
@options.base
@options.proof
@options.prompt
@click.option(
    "--adapter-file",
    default="",
    metavar="FILE",
    help="The file in the ADAPTER line.  [default: ./adapter_model.gguf]",
)
@click.option(
    "--out",
    type=path_types.PATH,
    default=None,
    metavar="FILE",
    help="Write the Modelfile to FILE instead of printing it.",
)
@options.as_json
@options.quiet
def modelfile_command(
    *, directory: Path, adapter_file: str, out: Path | None, as_json: bool, quiet: bool, **chosen: Any
) -> None:
    """Print the Modelfile of the adapter in DIR.

    It has the lines of DIR/Modelfile.txt; only FROM, ADAPTER and what the options set are
    different. If there is no Modelfile.txt, a template is used. Paths are relative to
    DIR/ollama, or to the directory of --out FILE.

    \b
    Example:
      ollama-pack modelfile ada-lora/ --template chatml --system "You are Ada."
    """
    from ollama_pack.modelfile.file import write_modelfile
    from ollama_pack.modelfile.syntax import print_modelfile
    from ollama_pack.pipeline.decide_modelfile import decide_modelfile, warn_of_format
    from ollama_pack.pipeline.inputs import resolve_inputs
    from ollama_pack.pipeline.prepare import prepare
    from ollama_pack.pipeline.prompt.plan import plan_prompt
    from ollama_pack.pipeline.prompt.verdict import renderer_beside
    from ollama_pack.pipeline.request import Request

    request = Request(directory=directory, out=out.parent if out else None, **chosen)
    inputs = resolve_inputs(request)
    console = Console(quiet=quiet)

    def note(stage: str, value: object) -> None:
        if stage == "author":
            console.stage_done(stage, value)

    named = {"adapter": adapter_file} if adapter_file else {}
    with renderer_beside(inputs.home) as renderer:
        work = prepare(inputs, note)
        work, modelfile = decide_modelfile(inputs, work, console.stage_done, **named)
        modelfile, _ = plan_prompt(inputs, work, modelfile, renderer)
    work = warn_of_format(inputs, work, modelfile, console.stage_done)
    if out is not None:
        write_modelfile(modelfile, out, console.stage_done)
    if as_json:
        print_json("modelfile", modelfile_facts(str(inputs.name), modelfile, out, work.warnings))
    elif out is None:
        say_result(print_modelfile(modelfile))
