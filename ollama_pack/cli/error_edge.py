"""Turns each error into its text on stderr, its JSON document on stdout, and its exit code."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from ollama_pack.cli.say import ERROR_LABEL, say, say_error, say_usage
from ollama_pack.cli.settings import JSON_WANTED, origin_of
from ollama_pack.errors import DestinationError, InputError, PackError, UsageError

if TYPE_CHECKING:
    from ollama_pack.cli.output import Console

OUTPUT_FAILS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Error numbers of a failed write to a redirected stdout; such an error names no file."""

PATH_FAILS = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOTDIR)
"""Error numbers of a path that the user gave and that cannot be used."""

WORDS = "ollama_pack.words"
"""The key in click's context of the words that were typed after the name of the command."""


def typed_words() -> list[str]:
    """Return the words that were typed after the name of the command, for a command to offer."""
    return list(click.get_current_context().meta.get(WORDS, ()))


def wants_json(words: Sequence[str]) -> bool:
    """Return whether the words of a command ask for JSON, also where they cannot be parsed."""
    return "--json" in list(words)[: list(words).index("--") if "--" in words else None]


def asks_json(context: click.Context) -> bool:
    """Return whether the words of the command that runs ask for JSON, or its settings do."""
    return wants_json(context.meta.get(WORDS, ())) or bool(context.meta.get(JSON_WANTED))


def console_here() -> "Console":
    """Return the console of the command that runs, or one for a command that failed before it had any."""
    from ollama_pack.cli.events.views import views_of
    from ollama_pack.cli.output import CONSOLE, Console

    context = click.get_current_context(silent=True)
    if context is None:  # the words before the command are wrong
        return Console(quiet=True, views=views_of({}, os.environ))
    known = context.meta.get(CONSOLE)
    if isinstance(known, Console):
        return known
    words = typed_words()
    chosen = {"verbose": False, "quiet": True, "as_json": asks_json(context)}
    return Console.of({**chosen, "json_lines": "--json-lines" in words})


def report(error: PackError, *, as_json: bool) -> int:
    """Report an error, and with ``--json`` print it as a document too; return its exit code."""
    if as_json:
        with contextlib.suppress(OSError):  # a full disk or a closed pipe is the error that is reported
            print_document(error)
    console_here().failed(error)
    return error.exit_code


@contextlib.contextmanager
def until_the_end(context: click.Context) -> Iterator[None]:
    """Run a command, and give its console the exit code at the end, so that files are written then."""
    from ollama_pack.cli.output import CONSOLE

    code = 1
    try:
        yield
        code = 0
    except click.exceptions.Exit as end:
        code = end.exit_code
        raise
    finally:
        console = context.meta.get(CONSOLE)
        if console is not None:
            _end(console, code)


def _end(console: "Console", code: int) -> None:
    """Report the end to a console; a file that cannot be written is an error, unless there was another."""
    try:
        console.end(code)
    except DestinationError as error:
        say_error(error)
        if not code:
            raise click.exceptions.Exit(error.exit_code) from error


def report_usage(error: click.UsageError) -> None:
    """Print how a command is called and what is wrong with this call; the whole help if no word was typed."""
    if error.ctx is not None and _is_bare(error):
        say_usage(error.ctx.get_help())
    elif error.ctx is not None:
        usage = error.ctx.get_usage()
        options = error.ctx.help_option_names
        say_usage(usage)
        say(f"Try '{error.ctx.command_path} {options[0]}' for help.", err=True)
        say(err=True)
    if not _is_bare(error):
        say(_usage_text(error), ERROR_LABEL, level="error", err=True)
    console_here().failed(of_usage(error), printed=True)


def print_document(error: PackError) -> None:
    """Print an error as the JSON document that ``--json`` promises."""
    from ollama_pack.cli.output import error_facts, print_json

    print_json("error", error_facts(error))


def of_usage(error: click.UsageError) -> UsageError:
    """Return an error of click, which prints its own text, as an error of this package."""
    called = error.ctx.command_path if error.ctx else "ollama-pack"
    return UsageError(_usage_text(error), where=called, hint=f"{called} --help")


def _usage_text(error: click.UsageError) -> str:
    """Return what click says is wrong on one line, and where a value comes from that nobody typed."""
    if _is_bare(error):
        return "Missing command."
    parameter = error.param if isinstance(error, click.BadParameter) else None
    origin = origin_of(error.ctx, parameter)
    text = error.format_message()
    if isinstance(error, click.MissingParameter):  # click lists the choices below each other
        text = text.replace("\n\t", " ").replace("\n", " ")
    return f"{text} It comes from {origin}." if origin else text


def _is_bare(error: click.UsageError) -> bool:
    """Return whether click's message is the help, because nothing was typed; before 8.2 it was no error."""
    return type(error).__name__ == "NoArgsIsHelpError"


def of_os_error(error: OSError) -> PackError:
    """Return an error of the operating system that is the user's to mend; any other is raised again."""
    if error.filename is not None and error.errno in PATH_FAILS:
        kind = UsageError if error.errno == errno.ENAMETOOLONG else InputError
        where = os.fsdecode(error.filename)
        return kind(f"This path cannot be used: {error.strerror}.", where=where, code="bad-path")
    if error.filename is not None or error.errno not in OUTPUT_FAILS:
        raise error
    discard_output()
    return DestinationError(f"The output cannot be written: {error.strerror}.", code="output-failed")


def discard_output() -> None:
    """Redirect stdout to the null device, so that Python does not fail again when it ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
