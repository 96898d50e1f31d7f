"""``ollama-pack inspect``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli import options
from ollama_pack.cli.base_view import is_base, show_base
from ollama_pack.cli.documents import adapter_facts, base_facts
from ollama_pack.cli.speech import error_facts, lines_of, megabytes, print_json
from ollama_pack.errors import PackError

if TYPE_CHECKING:
    from ollama_pack.roles import File


@click.command("inspect")
@options.directory
@options.adapter
@options.allow_noop
@options.base
@options.proof
@options.model_store
@options.as_json
@click.pass_context
def command(
    ctx: click.Context, /, *, directory: Path, store: Path | None, as_json: bool, **chosen: Any
) -> None:
    """Show what the directory DIR holds, and whether it can be built; or what a base is.

    In place of DIR a GGUF file, or the name of an installed model, shows what the proof of the base
    compares with an adapter.

    Nothing is written. The adapter's weights are looked through for what is not a number.
    The exit code is the one a build would have, as far as that tells.

    \b
    Example:
      ollama-pack inspect ada-lovelace-lora/
      ollama-pack inspect vicuna:7b
    """
    if is_base(directory):
        show_base(directory, store, as_json=as_json)
        return
    from ollama_pack.pipeline import Request, render, settle
    from ollama_pack.roles import list_files

    files = list_files(directory)
    seen: dict[str, Any] = {}
    problem: PackError | None = None
    try:
        request = Request(directory=directory, **chosen)
        render(request, settle(request, seen.__setitem__))
        seen["name"] = str(request.model)
    except PackError as error:
        problem = error
    if as_json:
        facts: dict[str, Any] = {
            "files": [{"name": f.name, "role": f.role, "use": f.use, "size": f.size} for f in files],
            "adapter": adapter_facts(seen["read"]) if "read" in seen else None,
            "base": base_facts(seen["base"]) if "base" in seen else None,
            "name": seen.get("name"),
            "problem": problem and error_facts(problem),
        }
        print_json("inspect", facts)
        ctx.exit(problem.exit_code if problem else 0)
    show(files, seen)
    if problem is None:
        click.echo(f"{'build':<10}would make the model {seen['name']}")
    else:
        click.echo(f"{'build':<10}would fail with exit code {problem.exit_code}:")
        click.echo("\n".join(f"{'':<10}{line}" for line in str(problem).splitlines()))
        ctx.exit(problem.exit_code)


def show(files: "Sequence[File]", seen: Mapping[str, Any]) -> None:
    """Print the files and what was made of them."""
    for file in files:
        click.echo(f"{megabytes(file.size):>10}  {file.use:<8}  {file.name:<28}  {file.role}")
    click.echo()
    for stage in ("read", "base"):
        if stage in seen:
            label = {"read": "adapter"}.get(stage, stage)
            line, told, more = lines_of(seen[stage])
            for text in (line, *more, *told):
                click.echo(f"{label:<10}{text}")
                label = ""
