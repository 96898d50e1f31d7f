"""Defines the command group, and turns errors into messages and exit codes at one place."""

import contextlib
import errno
import gc
import importlib
import io
import os
import sys
from typing import Any

import click

from ollama_pack import __version__
from ollama_pack.errors import DestinationError, InputError, PackError, printable

COMMAND_GROUPS = {
    "build": "Convert an adapter and register it as a model in Ollama.",
    "inspect": "Show what a directory contains, and whether it can be built.",
    "checkpoints": "List the checkpoints of a training run.",
    "diff": "Compare two adapters, or two checkpoints.",
    "convert": "Write only the GGUF LoRA file, and verify its numbers.",
    "modelfile": "Print only the Modelfile.",
    "register": "Register a model in Ollama from the files of an earlier build.",
    "doctor": "Check Ollama: deliveries, stores, and models that would not run.",
    "versions": "List a model and its earlier versions.",
    "rollback": "Restore an earlier version of a model.",
    "remove": "Remove a model and its earlier versions.",
    "bases": "List and search the known base models.",
    "archs": "List the architectures that can be converted.",
}
"""Maps each command to its summary. The module of a command is imported only when the command runs."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells define it."""

OUTPUT_FAILS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Error numbers of a failed write to a redirected stdout; such an error names no file."""

PATH_FAILS = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOTDIR)
"""Error numbers of a path that the user gave and that cannot be used."""


class Commands(click.Group):
    """The group of commands, in the order in which a user needs them; each command is in its own file."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMAND_GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None if there is no such command."""
        if cmd_name not in COMMAND_GROUPS:
            return None
        module = importlib.import_module(f"ollama_pack.cli.{cmd_name}_command")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing their modules."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMAND_GROUPS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; print a `PackError` as text, and exit with its exit code."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            # File names and JSON texts may contain characters that UTF-8 cannot encode.
            sys.stdout.reconfigure(errors="backslashreplace")
        # The matrices of a LoRA are small, and the proof of the numbers has its own threads.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # An adapter may have tens of thousands of tensors, and none is garbage: looking for garbage as often
        # as Python does by default takes a sixth of the conversion.
        gc.set_threshold(20_000, 20, 20)
        as_json = "--json" in ctx.args
        try:
            return super().invoke(ctx)
        except PackError as error:
            if as_json:
                print_error(error)
            click.echo(f"Error: {printable(str(error))}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("Interrupted. No incomplete file is left.", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            # The reader of the output has ended, as `head` does; this is not an error.
            discard_output()
            ctx.exit(0)
        except OSError as error:
            if error.filename is not None and error.errno in PATH_FAILS:
                click.echo(f"Error: This path cannot be used: {error.strerror}.", err=True)
                click.echo(f"  in:  {printable(os.fsdecode(error.filename))}", err=True)
                ctx.exit(InputError.exit_code)
            if error.filename is not None or error.errno not in OUTPUT_FAILS:
                raise
            discard_output()
            click.echo(f"Error: The output cannot be written: {error.strerror}.", err=True)
            ctx.exit(DestinationError.exit_code)


def print_error(error: PackError) -> None:
    """Print an error as the JSON document that ``--json`` promises."""
    from ollama_pack.cli.output import error_facts, print_json

    print_json("error", {**error_facts(error), "exit_code": error.exit_code})


def discard_output() -> None:
    """Redirect stdout to the null device, so that Python does not fail again when it ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ollama-pack")
def main() -> None:
    """Turn a LoRA adapter into a model that runs in Ollama.

    \b
      ollama-pack build ada-lovelace-lora/
      ollama run ada-lovelace

    The directory is one that PEFT or the Trainer saved. It contains adapter_config.json
    and adapter_model.safetensors. The base model is found by its name, or given with
    --base.

    \b
    Exit codes:
      0  success; every proof holds      4  the adapter or base is not supported
      1  a bug in ollama-pack            5  a proof failed
      2  wrong usage                     6  the daemon, store or registry failed
      3  the input is damaged            7  refused, to protect existing data
    """
