"""Shows what several models answer, side by side: while they speak on a terminal, and once they are done."""

import contextlib
import os
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from ollama_pack.cli.fold import cells_of
from ollama_pack.cli.say import columns, say, terminal_line

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from ollama_pack.engine.answers import Said
    from ollama_pack.pipeline.trial.trial import Voice

GAP = 3
NARROWEST_COLUMN = 24
"""Number of columns below which answers stand one below the other."""

UNSEEN_WIDTH = 100
"""Number of columns if the output is not a terminal."""

CUT_OFF = "[…]"
"""What stands after an answer that was cut off."""


def answer_rows(answers: Mapping[str, str], width: int) -> Iterator[str]:
    """Yield the lines of several answers: in columns with their names above, or one below the other.

    Args:
        answers: name of a model → its answer.
        width: the number of columns of the terminal, or 0 if there is none.

    Example:
        >>> list(answer_rows({"base": "I am a model.", "adapted": "I am Ada."}, 51))
        ['base                       adapted', 'I am a model.              I am Ada.']
    """
    width = width or UNSEEN_WIDTH
    column = (width - GAP * (len(answers) - 1)) // len(answers)
    if len(answers) == 1 or column < NARROWEST_COLUMN:
        for name, text in answers.items():
            yield from (f"{name}:", *wrapped_text(text, max(NARROWEST_COLUMN, width)))
        return
    blocks = [[name, *wrapped_text(text, column)] for name, text in answers.items()]
    for row in zip_longest(*blocks, fillvalue=""):
        cells = (cell + " " * (column - cells_of(cell)) for cell in row)
        yield (" " * GAP).join(cells).rstrip()


def wrapped_text(text: str, width: int) -> list[str]:
    """Return the lines of a text, escaped, and broken at spaces so that none is wider than `width`."""
    lines: list[str] = []
    for line in terminal_line_by_line(text):
        wide = cells_of(line) > len(line)  # characters that take two columns
        lines += textwrap.wrap(line, width // 2 if wide else width, replace_whitespace=False) or [""]
    return lines


def terminal_line_by_line(text: str) -> list[str]:
    """Return the lines of a text with control characters escaped, which a terminal would obey."""
    return [terminal_line(line) for line in text.strip().split("\n")]


def said_text(said: "Said") -> str:
    """Return an answer, with a mark if it was cut off."""
    return said.text if said.ended else f"{said.text} {CUT_OFF}"


def say_answers(answers: "Mapping[str, Said]") -> None:
    """Print answers side by side."""
    for line in answer_rows({name: said_text(said) for name, said in answers.items()}, columns(sys.stdout)):
        say(line)


class LiveAnswers:
    """Shows answers on a terminal while they are generated, and clears them at the end.

    Args:
        voices: the models.
        quiet: whether nothing is shown.
    """

    def __init__(self, voices: "Sequence[Voice]", *, quiet: bool = False) -> None:
        self._texts = {voice.name: "" for voice in voices}
        self._shown = sys.stdout.isatty() and not quiet and not os.environ.get("CI")
        self._live: Live | None = None
        self._running = contextlib.ExitStack()

    def __enter__(self) -> "LiveAnswers":
        if self._shown:
            self._running.enter_context(_without_echo())
        return self

    def __exit__(self, *error: object) -> None:
        self._running.close()

    def hear(self, voice: "Voice", piece: str) -> None:
        """Show a piece of a model's answer."""
        if not self._shown:
            return
        if self._live is None:
            self._live = _started_live()
            self._running.callback(self._live.stop)
        self._texts[voice.name] += piece
        self._live.update(self._table())

    def _table(self) -> "Table":
        """Return the last lines of the answers, as many as the terminal has room for."""
        from rich.table import Table
        from rich.text import Text

        table = Table.grid()
        assert self._live is not None
        room = max(4, self._live.console.height - 4)
        for row in list(answer_rows(self._texts, self._live.console.width))[-room:]:
            table.add_row(Text(row))
        return table


@contextlib.contextmanager
def _without_echo() -> Iterator[None]:
    """Keep the terminal from showing what is typed, ``^C`` too: it would disturb the answers drawn there."""
    try:
        import termios
    except ImportError:  # Windows
        yield
        return
    try:
        before = termios.tcgetattr(sys.stdin)
    except (OSError, ValueError, termios.error):  # nobody types there
        yield
        return
    quiet = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    try:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, quiet)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def _started_live() -> "Live":
    """Return a running display; ``rich`` is imported only if it is needed."""
    from rich.console import Console
    from rich.live import Live

    live = Live(console=Console(), transient=True, refresh_per_second=12)
    live.start()
    return live
