"""Writes the help of a command for terminals of any width: no word is broken, and examples can be pasted."""

import sys
from collections.abc import Iterable

import click

from ollama_pack.cli.fold import cells_of, fold
from ollama_pack.cli.say import columns

WIDEST_LABEL = 30
"""Number of columns up to which options and their explanations stand side by side."""

USUAL_WIDTH = 80
"""Number of columns of a page that goes into a pipe."""

KEPT_AS_TYPED = "\b\n"
"""How a paragraph of a docstring begins whose line ends click keeps."""


class HelpPage(click.HelpFormatter):
    """The formatter for help pages; click's own breaks words, and is never narrower than 50 columns."""

    def __init__(
        self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None
    ) -> None:
        if width is None:
            width = min(columns(sys.stdout) or USUAL_WIDTH, max_width or USUAL_WIDTH)
        super().__init__(indent_increment, width, max_width)

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the line that says how a command is called."""
        self.write(fold(args, self.width, f"{prefix or 'Usage: '}{prog} ") + "\n")

    def write_text(self, text: str) -> None:
        """Write paragraphs; one that begins with a backspace keeps its line ends."""
        indent = " " * self.current_indent
        pages = []
        for paragraph in text.split("\n\n"):
            kept = paragraph.startswith(KEPT_AS_TYPED)
            lines = paragraph.removeprefix(KEPT_AS_TYPED).split("\n")
            lines = lines if kept else [" ".join(paragraph.split())]
            pages.append("\n".join(fold(line, self.width, indent) for line in lines))
        self.write("\n\n".join(pages) + "\n")

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = WIDEST_LABEL, col_spacing: int = 2
    ) -> None:
        """Write terms with their explanations beside them, or below where a term is long."""
        pairs = list(rows)
        widest = min(max(cells_of(term) for term, _ in pairs), col_max, self.width // 3) + col_spacing
        for term, text in pairs:
            label = " " * self.current_indent + term
            if cells_of(term) > widest - col_spacing and text:
                self.write(fold(label, self.width) + "\n")
                label = " " * self.current_indent
            label += " " * (self.current_indent + widest - cells_of(label))
            self.write(fold(text, self.width, label) + "\n")


class HelpContext(click.Context):
    """The context of a command whose help is a `HelpPage`."""

    formatter_class = HelpPage
