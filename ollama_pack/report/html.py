"""Renders a report as one HTML page without scripts or network; everything from the run is escaped."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ollama_pack.base.hf_cache import is_hub_id
from ollama_pack.disk.files import megabytes, sha256_of_file
from ollama_pack.errors import one_line, printable
from ollama_pack.lora.adapter import dtypes_of
from ollama_pack.pipeline.release.unchanged import is_made_by_us
from ollama_pack.pipeline.request import Request
from ollama_pack.report.charts import draw_sizes, draw_spectra, draw_training
from ollama_pack.report.drawing import require_library
from ollama_pack.report.page import render_page, require_place_of_page, write_page
from ollama_pack.report.prompts import prompt_section
from ollama_pack.report.run import RunReport, report_on_run

if TYPE_CHECKING:
    from ollama_pack.pipeline.build import Outcome
    from ollama_pack.pipeline.merging.merge import MergedFile

LISTED_FILES = 2000
"""Number of files that the page lists."""


def write_report(report: RunReport, path: Path) -> None:
    """Write the report on a run as an HTML page, and replace an older report.

    Args:
        report: what is known about the run.
        path: the file to write.

    Raises:
        UsageError: matplotlib is not installed.
        RefusedError: the file would be in the run itself, or would replace something that is not a report.
        DestinationError: the file cannot be written.
    """
    require_library()
    require_place_of_page(path, report.directory)
    write_page(path, render_report(report))


def report_page(request: Request) -> "Callable[[Outcome], str]":
    """Return the function that renders the page of a release from the outcome of its build.

    The page names the base by its Hub id only, because a path is private, and shows no prompts, because what
    Ollama sends depends on the daemon. It does not list what builds and releases wrote into the run.

    Args:
        request: the build that the release is made of.

    Raises:
        UsageError: matplotlib is not installed.
    """
    require_library()

    def make(built: "Outcome") -> str:
        report = report_on_run(replace(request, out=None), partial(is_made_by_us, out=request.out), built)
        if report.adapter is not None and not is_hub_id(report.adapter.base_id):
            report.adapter = replace(report.adapter, base_id="")
        return render_report(report, built.merged)

    return make


def render_report(report: RunReport, merged: "MergedFile | None" = None) -> str:
    """Return the HTML page of a report; for a merged adapter, it shows what the merged file keeps of ΔW."""
    from markupsafe import Markup

    from ollama_pack.report.merged import merge_section

    curves = report.log.curves if report.log else {}
    drawn = bool(curves.get("loss") or curves.get("eval_loss"))
    marks = [(each.step, each.is_best) for each in report.checkpoints]
    return render_page(
        "page.html",
        title=one_line(report.name or report.directory.resolve().name),
        problem=report.problem is not None,
        verdict=_verdict(report),
        warnings=[one_line(f"{name}: {pickle}") for name, pickle in report.suspicious.items()],
        facts=list(_facts(report)),
        # matplotlib escapes every text in the drawings, so they are inserted as they are.
        training=Markup(draw_training(curves, marks)) if drawn else "",
        checkpoints=list(_checkpoint_rows(report)),
        sizes=Markup(draw_sizes(report.spectra)) if report.spectra else "",
        spectra=Markup(draw_spectra(report.spectra)) if report.spectra else "",
        weights=[
            {
                "module": one_line(each.module),
                "norm": f"{each.norm:.4g}",
                "used": each.effective_rank,
                "rank": each.rank,
            }
            for each in report.spectra
        ],
        merged=merge_section(merged) if merged else None,
        prompts=prompt_section(report.prompts) if report.prompts else None,
        prompt_note=one_line(report.prompt_note),
        files=[
            {
                "name": one_line(file.name),
                "size": megabytes(file.size),
                "use": file.use,
                "title": file.role.title,
                "words": file.role.words,
            }
            for file in report.tree.files[:LISTED_FILES]
        ],
        more=report.tree.more + max(0, len(report.tree.files) - LISTED_FILES),
    )


def _verdict(report: RunReport) -> str:
    """Return a sentence that says whether a build would succeed, and the error if not."""
    if report.problem is None:
        return f"A build would make the model {report.name}."
    return f"A build would fail with exit code {report.problem.exit_code}.\n{printable(str(report.problem))}"


def _facts(report: RunReport) -> Iterator[tuple[str, str]]:
    """Yield label and text of each fact about adapter, base, tokenizer and training."""
    adapter, base = report.adapter, report.base
    if adapter is not None:
        scales = sorted({f"{pair.scale:g}" for pair in adapter.pairs})
        yield "method", adapter.method
        yield "rank", "/".join(map(str, sorted({pair.rank for pair in adapter.pairs})))
        yield "scale", " – ".join(scales[:: max(1, len(scales) - 1)])
        yield "weights", f"{len(adapter.pairs)}, stored as {'/'.join(dtypes_of(adapter))}"
        yield "digest", f"{sha256_of_file(adapter.weights)} of {adapter.weights.name}"
        yield "trained on", one_line(adapter.base_id or "unknown")
        for note in adapter.notes:
            yield "note", one_line(note)
    if base is not None:
        name, sizes = base.tag or (base.gguf.name if base.gguf else base.source_id), base.hparams
        yield "base", one_line(f"{name}: {sizes.arch}, {sizes.blocks} layers, {sizes.heads} heads")
    if report.vocabulary is not None:
        yield "tokenizer", f"{len(report.vocabulary.tokens)} tokens"
    if report.log is not None:
        yield "training", f"{report.log.step} steps, {report.log.epoch:.3g} epochs"
    if report.twin is not None:
        yield "adapter", f"the same as {report.twin.name}, byte for byte"


def _checkpoint_rows(report: RunReport) -> Iterator[dict[str, Any]]:
    """Yield the cells of the table of checkpoints, one mapping for each row."""
    for each in report.checkpoints:
        measured = [each.log.last(name) if each.log else None for name in ("loss", "eval_loss")]
        loss, eval_loss = ("–" if value is None else f"{value:.4g}" for value in measured)
        remarks = ["best"] if each.is_best else []
        remarks += ["same as the adapter at the top"] if each is report.twin else []
        yield {
            "step": each.step,
            "loss": loss,
            "eval_loss": eval_loss,
            "size": megabytes(each.size),
            "resumable": "yes" if each.resumable else "no",
            "remarks": ", ".join([*remarks, one_line(each.note)] if each.note else remarks),
        }
