"""Renders what a merged file keeps of the change as one HTML page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ollama_pack.base.model import BaseModel
from ollama_pack.disk.files import megabytes
from ollama_pack.errors import one_line
from ollama_pack.pipeline.merging.merge import MergedFile
from ollama_pack.report.drawing import require_library
from ollama_pack.report.merge_charts import draw_frontier, draw_kept
from ollama_pack.report.page import render_page, require_place_of_page
from ollama_pack.verify.kept import KeptChange


def require_place_of_merge_page(path: Path, directory: Path) -> None:
    """Require that the page of a merge can be drawn and written, before anything is merged.

    Args:
        path: the file to write.
        directory: the run that is merged.

    Raises:
        UsageError: matplotlib is not installed.
        RefusedError: the file would be in the run itself, or would replace something that is not a page.
    """
    require_library()
    require_place_of_page(path, directory)


def render_merge(merged: MergedFile, base: BaseModel) -> str:
    """Return the HTML page of a merge: the figures of each weight, drawn and as a table.

    Args:
        merged: the merged file.
        base: what it was merged into.

    Raises:
        UsageError: matplotlib is not installed.
    """
    report = merged.report
    return render_page(
        "merged.html",
        title=one_line(merged.path.name),
        passed=report.result.passed,
        verdict=one_line(report.result.summary),
        facts=[(term, one_line(text)) for term, text in _merge_facts(merged, base)],
        merged=merge_section(merged),
    )


def merge_section(merged: MergedFile) -> dict[str, Any]:
    """Return what ``kept.html`` shows: the figures of each weight, drawn and as a table.

    Args:
        merged: the merged file.

    Raises:
        UsageError: matplotlib is not installed.
    """
    report = merged.report
    return {
        # matplotlib escapes every text in the drawings, so they are inserted as they are.
        "kept": Markup(draw_kept(report.weights, report.result.limit)),
        "frontier": Markup(draw_frontier(merged.frontier) if merged.frontier else ""),
        "weights": list(map(_weight_on_page, report.weights)),
    }


def _merge_facts(merged: MergedFile, base: BaseModel) -> Iterator[tuple[str, str]]:
    """Yield label and text of what is known of the file as a whole."""
    total = merged.report.total
    yield "file", f"{megabytes(merged.size)}, {merged.digest}"
    yield "base", base.gguf.name if base.gguf else base.tag
    yield "weights", f"{len(merged.report.weights)} changed, {merged.report.untouched} copied byte for byte"
    yield (
        "size",
        f"{megabytes(total.nbytes)} for the weights that changed, {megabytes(total.base_nbytes)} before",
    )
    yield "change", f"{100 * total.relative:.2g} % of the weights"
    if merged.before is not None:
        yield "merge", merged.before.summary
    if merged.behaviour is not None:
        yield "answers", f"keeps {100 * merged.behaviour.kept:.1f} % of what the adapter changes"


def _weight_on_page(weight: KeptChange) -> dict[str, Any]:
    """Return the cells of a row of the table."""
    return {
        "tensor": one_line(weight.tensor),
        "types": weight.types,
        "kept": f"{100 * weight.gain:.1f} %",
        "cosine": f"{weight.cosine:.4f}",
        "noise": f"{weight.noise:.1e}",
        "change": f"{100 * weight.relative:.2g} %",
        "size": megabytes(weight.nbytes),
    }
