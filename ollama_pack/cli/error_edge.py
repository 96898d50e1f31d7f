"""Turns each error into its text on stderr, its JSON document on stdout, and its exit code."""

import contextlib
import errno
import os
import sys
from collections.abc import Sequence

import click

from ollama_pack.cli.say import ERROR_LABEL, say, say_error, say_usage
from ollama_pack.errors import DestinationError, InputError, PackError, UsageError

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


def report(error: PackError, *, as_json: bool) -> int:
    """Print an error as text, and with ``--json`` as a document too; return its exit code."""
    if as_json:
        with contextlib.suppress(OSError):  # a full disk or a closed pipe is what is reported
            print_document(error)
    say_error(error)
    return error.exit_code


def report_usage(error: click.UsageError) -> None:
    """Print how a command is called and what is wrong with this call."""
    if error.ctx is not None:
        usage = error.ctx.get_usage()
        options = error.ctx.help_option_names
        say_usage(usage)
        say(f"Try '{error.ctx.command_path} {options[0]}' for help.", err=True)
        say(err=True)
    say(error.format_message(), ERROR_LABEL, level="error", err=True)


def print_document(error: PackError) -> None:
    """Print an error as the JSON document that ``--json`` promises."""
    from ollama_pack.cli.output import error_facts, print_json

    print_json("error", error_facts(error))


def of_usage(error: click.UsageError) -> UsageError:
    """Return an error of click, which prints its own text, as an error of this package."""
    called = error.ctx.command_path if error.ctx else "ollama-pack"
    return UsageError(error.format_message(), where=called, hint=f"{called} --help")


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
