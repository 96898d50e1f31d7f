"""Defines the command group, and turns errors into messages and exit codes at one place."""

import atexit
import gc
import importlib
import os
import sys
from typing import Any

import click

from ollama_pack import __version__
from ollama_pack.cli.completion import COMPLETE_VARIABLE
from ollama_pack.cli.error_edge import (
    WORDS,
    asks_json,
    discard_output,
    of_os_error,
    of_usage,
    print_document,
    report,
    report_usage,
    until_the_end,
    wants_json,
)
from ollama_pack.cli.help_page import HelpContext
from ollama_pack.cli.plain_text import write_in_ascii
from ollama_pack.cli.say import say, say_bug
from ollama_pack.cli.settings import add_settings
from ollama_pack.errors import PackError

COMMAND_GROUPS = {
    "build": "Convert an adapter and register it as a model in Ollama.",
    "release": "Make a release: model, proofs and papers in one directory.",
    "plan": "Show what a command would make and send, without doing it.",
    "inspect": "Show what a directory contains, and whether it can be built.",
    "checkpoints": "List the checkpoints of a training run.",
    "diff": "Compare two adapters, or two checkpoints.",
    "convert": "Write only the GGUF LoRA file, and verify its numbers.",
    "merge": "Write the base with the adapter merged into it, as one GGUF file.",
    "try": "Talk to the model before it is built, beside its base.",
    "test": "Test the answers of the model by cases that you write.",
    "prompt": "Show the trained prompts beside those that Ollama sends.",
    "modelfile": "Print only the Modelfile.",
    "register": "Register a model in Ollama from the files of an earlier build.",
    "push": "Push a release, a build or a model to a registry or the Hub.",
    "pull": "Pull a release from an OCI registry, verify and register it.",
    "verify": "Prove again what is recorded of a build's folder or a model.",
    "config": "Show every value in force, and where it comes from.",
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

# At its end Python collects garbage once more, although the process ends anyway: a twentieth of a build.
atexit.register(gc.freeze)


class Commands(click.Group):
    """The group of commands, in the order in which a user needs them; each command is in its own file."""

    context_class = HelpContext

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMAND_GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None if there is no such command."""
        if cmd_name not in COMMAND_GROUPS:
            return None
        module = importlib.import_module(f"ollama_pack.cli.{cmd_name}_command")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        add_settings(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the words name; the error for an unknown one names the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib  # only an error needs it

            if near := difflib.get_close_matches(args[0].lower(), COMMAND_GROUPS, 1):
                text = f"{error.message.rstrip('.')}. Did you mean {near[0]}?"
                raise click.UsageError(text, ctx) from error
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing their modules."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMAND_GROUPS.items()))

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command, or complete what is typed in a shell."""
        if os.environ.get(COMPLETE_VARIABLE, "").startswith("bash"):
            importlib.import_module("ollama_pack.cli.bash_completion")  # click takes its class from there
        return super().main(*args, **extra)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Return the context of a call; wrong options before the command have a JSON document too."""
        try:
            return super().make_context(*args, **extra)
        except click.UsageError as error:
            if len(args) > 1 and wants_json(args[1]):
                print_document(of_usage(error))
            report_usage(error)
            raise click.exceptions.Exit(error.exit_code) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, and report its end."""
        with until_the_end(ctx):
            return self.invoke_until_an_error(ctx)

    def invoke_until_an_error(self, ctx: click.Context) -> Any:
        """Run a command; print a `PackError` as text, and exit with its exit code."""
        for stream in (sys.stdout, sys.stderr):
            # File names and JSON texts may contain characters that not even UTF-8 can encode.
            write_in_ascii(stream)
        sys.excepthook = say_bug
        # The matrices of a LoRA are small, and the proof of the numbers has its own threads.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # An adapter may have tens of thousands of tensors, and none is garbage: looking for garbage as often
        # as Python does by default takes a sixth of the conversion.
        gc.set_threshold(1_000_000, 20, 20)
        ctx.meta[WORDS] = tuple(ctx.args)
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if asks_json(ctx):
                print_document(of_usage(error))
            report_usage(error)
            ctx.exit(error.exit_code)
        except PackError as error:
            ctx.exit(report(error, as_json=asks_json(ctx)))
        except KeyboardInterrupt:
            say("Interrupted. No incomplete file is left.", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            # The reader of the output has ended, as `head` does; this is not an error.
            discard_output()
            ctx.exit(0)
        except OSError as error:
            ctx.exit(report(of_os_error(error), as_json=asks_json(ctx)))


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
      0  success; every proof holds
      1  a bug in ollama-pack
      2  wrong usage
      3  the input is damaged
      4  the adapter or base is not supported
      5  a proof failed
      6  the daemon, store or registry failed
      7  refused, to protect existing data
    """
