"""RENDER  a survey → one page of HTML: no network, no script, nothing of the run that is not escaped."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ollama_pack.errors import RefusedError, one_line, printable
from ollama_pack.files import megabytes, whole_file
from ollama_pack.lora.adapter import dtypes_of
from ollama_pack.report.charts import draw_sizes, draw_spectra, draw_training, require_library
from ollama_pack.report.run import RunReport

TEMPLATE = Path(__file__).with_name("page.html")
MARK = b'<meta name="generator" content="ollama-pack">'
LISTED_FILES = 2000


def write_report(seen: RunReport, path: Path) -> None:
    """Write the report of a run; an older report is replaced, anything else is not.

    Raises:
        UnsupportedError: what draws charts is not installed.
        RefusedError: it would lie in the run, or replace what is no report.
        DestinationError: it cannot be written.
    """
    require_library()
    if path.absolute().parent.resolve().is_relative_to(seen.directory.resolve()):
        raise RefusedError(
            "A report in the run itself would change what it reports on.",
            where=path,
            hint="--report with a place outside",
        )
    if path.exists() and not (path.is_file() and MARK in path.read_bytes()[:4096]):
        raise RefusedError(
            "There is something of this name already, and it is no report.", where=path, hint="another name"
        )
    content = render_report(seen).encode("utf-8")
    with whole_file(path) as file:
        file.write(content)


def render_report(seen: RunReport) -> str:
    """Return the page."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    curves = seen.log.curves if seen.log else {}
    drawn = bool(curves.get("loss") or curves.get("eval_loss"))
    marks = [(each.step, each.is_best) for each in seen.checkpoints]
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(TEMPLATE.read_text("utf-8"))
    return page.render(
        title=one_line(seen.name or seen.directory.resolve().name),
        problem=seen.problem is not None,
        verdict=_verdict(seen),
        warnings=[one_line(f"{name}: {pickle}") for name, pickle in seen.suspicious.items()],
        facts=list(_facts(seen)),
        # The drawings are ours; every text in them went through matplotlib, which escapes it.
        training=Markup(draw_training(curves, marks)) if drawn else "",
        checkpoints=list(_checkpoint_rows(seen)),
        sizes=Markup(draw_sizes(seen.spectra)) if seen.spectra else "",
        spectra=Markup(draw_spectra(seen.spectra)) if seen.spectra else "",
        largest=f"{max((each.norm for each in seen.spectra), default=0.0):.4g}",
        weights=[
            {
                "module": one_line(each.module),
                "norm": f"{each.norm:.4g}",
                "used": each.effective_rank,
                "rank": each.rank,
            }
            for each in seen.spectra
        ],
        files=[
            {
                "name": one_line(file.name),
                "size": megabytes(file.size),
                "use": file.use,
                "title": file.role.title,
                "words": file.role.words,
            }
            for file in seen.tree.files[:LISTED_FILES]
        ],
        more=seen.tree.more + max(0, len(seen.tree.files) - LISTED_FILES),
    )


def _verdict(seen: RunReport) -> str:
    if seen.problem is None:
        return f"A build would make the model {seen.name}."
    return f"A build would fail with exit code {seen.problem.exit_code}.\n{printable(str(seen.problem))}"


def _facts(seen: RunReport) -> Iterator[tuple[str, str]]:
    adapter, base = seen.adapter, seen.base
    if adapter is not None:
        scales = sorted({f"{pair.scale:g}" for pair in adapter.pairs})
        yield "method", adapter.method
        yield "rank", "/".join(map(str, sorted({pair.rank for pair in adapter.pairs})))
        yield "scale", " – ".join(scales[:: max(1, len(scales) - 1)])
        yield "weights", f"{len(adapter.pairs)}, stored as {'/'.join(dtypes_of(adapter))}"
        yield "trained on", one_line(adapter.base_id or "not said")
        for note in adapter.notes:
            yield "note", one_line(note)
    if base is not None:
        named = base.tag or (base.gguf.name if base.gguf else base.source_id)
        yield (
            "base",
            one_line(
                f"{named}: {base.hparams.arch}, {base.hparams.blocks} blocks, {base.hparams.heads} heads"
            ),
        )
    if seen.vocabulary is not None:
        yield "tokenizer", f"{len(seen.vocabulary.tokens)} tokens"
    if seen.log is not None:
        yield "training", f"{seen.log.step} steps, {seen.log.epoch:.3g} epochs"
    if seen.twin is not None:
        yield "adapter", f"that of {seen.twin.name}, byte for byte"


def _checkpoint_rows(seen: RunReport) -> Iterator[dict[str, Any]]:
    for each in seen.checkpoints:
        measured = [each.log.last(name) if each.log else None for name in ("loss", "eval_loss")]
        loss, judged = ("–" if value is None else f"{value:.4g}" for value in measured)
        remarks = ["the best"] if each.is_best else []
        remarks += ["the adapter at the top"] if each is seen.twin else []
        yield {
            "step": each.step,
            "loss": loss,
            "judged": judged,
            "size": megabytes(each.size),
            "resumable": "yes" if each.resumable else "no",
            "remarks": ", ".join([*remarks, one_line(each.note)] if each.note else remarks),
        }
