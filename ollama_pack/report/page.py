"""The frame of every HTML page: no scripts, no network, all texts escaped. It replaces only older pages."""

from pathlib import Path
from typing import Any

from ollama_pack import __version__
from ollama_pack.disk.files import whole_file
from ollama_pack.errors import RefusedError, file_in_the_way

MARK = b'<meta name="generator" content="ollama-pack">'
"""Text near the start of every page, by which an older page is recognized."""


def require_place_of_page(path: Path, directory: Path) -> None:
    """Require that a page may be written to a place.

    Args:
        path: the file to write.
        directory: the run that the page describes.

    Raises:
        RefusedError: the file would be in the run itself, or would replace something that is not a page.
    """
    if path.absolute().parent.resolve().is_relative_to(directory.resolve()):
        raise RefusedError(
            "A report cannot be written into the run that it describes, because that would change the run.",
            where=path,
            hint="--report with a file in another directory",
            code="report-in-the-run",
        )
    if path.exists() and not (path.is_file() and MARK in _start_of_page(path)):
        raise file_in_the_way(path, "it is not a report", hint="--report with another name")


def write_page(path: Path, text: str) -> None:
    """Write a page, which appears whole or not at all.

    Raises:
        DestinationError: the file cannot be written.
    """
    with whole_file(path) as file:
        file.write(text.encode("utf-8"))


def render_page(template: str, **values: Any) -> str:  # noqa: ANN401 — what a template shows
    """Return a page.

    Args:
        template: the name of a template in this directory.
        values: what it shows; every text is escaped.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(autoescape=True, undefined=StrictUndefined, loader=loader)
    return environment.get_template(template).render(version=__version__, **values)


def _start_of_page(path: Path) -> bytes:
    """Return the first bytes of a file, which show whether it is a page of this package."""
    with path.open("rb") as file:
        return file.read(4096)
