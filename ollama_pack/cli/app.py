"""The click group, and the one place where errors become exit codes."""

import contextlib
import errno
import importlib
import io
import os
import sys
from typing import Any

import click

from ollama_pack import __version__
from ollama_pack.errors import DestinationError, InputError, PackError, printable

COMMAND_GROUPS = {
    "build": "Make a model Ollama runs out of an adapter directory.",
    "inspect": "Show what a directory holds, and whether it can be built.",
    "checkpoints": "List the checkpoints of a training run.",
    "diff": "Compare two adapters, or two checkpoints.",
    "convert": "Write the GGUF LoRA file alone, and prove its numbers.",
    "modelfile": "Print the Modelfile alone.",
    "register": "Put what a build left in a folder into Ollama.",
    "doctor": "Look at Ollama: ways in, store, models that would not run.",
    "versions": "List a model's earlier versions.",
    "rollback": "Bring an earlier version of a model back.",
    "remove": "Remove a model and its versions.",
    "bases": "List and search the base models that are known.",
    "archs": "List the architectures that can be converted.",
}
"""Command → its one line; the module of a command is only imported when it runs."""

INTERRUPTED = 130
OUTPUT_FAILS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What the system says of a full disk under a redirected stdout; such an error names no file."""

PATH_FAILS = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOTDIR)
"""What it says of a path nobody could use, wherever we first ask about it."""


class Commands(click.Group):
    """The commands, in the order a user meets them, each in a file of its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMAND_GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None."""
        if cmd_name not in COMMAND_GROUPS:
            return None
        module = importlib.import_module(f"ollama_pack.cli.{cmd_name}_command")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMAND_GROUPS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a `PackError` becomes its text and its exit code."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Names from a disk and texts from JSON may hold what UTF-8 cannot.
            sys.stdout.reconfigure(errors="backslashreplace")
        # Matrices of a LoRA are small, and the proof has threads of its own.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        as_json = "--json" in ctx.args
        try:
            return super().invoke(ctx)
        except PackError as error:
            if as_json:
                print_error(error)
            click.echo(f"Error: {printable(str(error))}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("Interrupted; nothing is left half-written.", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            # The reader went away, as `head` does; there is nobody to tell.
            forget_output()
            ctx.exit(0)
        except OSError as error:
            if error.filename is not None and error.errno in PATH_FAILS:
                click.echo(f"Error: This path cannot be used: {error.strerror}.", err=True)
                click.echo(f"  in:  {printable(os.fsdecode(error.filename))}", err=True)
                ctx.exit(InputError.exit_code)
            if error.filename is not None or error.errno not in OUTPUT_FAILS:
                raise
            forget_output()
            click.echo(f"Error: The output cannot be written: {error.strerror}.", err=True)
            ctx.exit(DestinationError.exit_code)


def print_error(error: PackError) -> None:
    """Print an error as the one document that ``--json`` promises."""
    from ollama_pack.cli.output import error_facts, print_json

    print_json("error", {**error_facts(error), "exit_code": error.exit_code})


def forget_output() -> None:
    """Let Python write what is left for stdout to nowhere when it ends: writing it has failed."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ollama-pack")
def main() -> None:
    """Turn a LoRA adapter into a model that runs in Ollama.

    \b
      ollama-pack build ada-lovelace-lora/
      ollama run ada-lovelace

    The directory is the one PEFT or the Trainer saved: adapter_config.json and
    adapter_model.safetensors. The base it was trained on is found by name, or given
    with --base.

    \b
    Exit codes:
      0  done, and the proofs hold       4  it cannot be expressed exactly
      1  a bug in ollama-pack            5  a proof failed
      2  wrong usage                     6  daemon, store or registry said no
      3  the input is damaged            7  refused, to protect what is there
    """
