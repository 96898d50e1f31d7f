"""Prints a training run for ``inspect``, as text or as JSON."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ollama_pack.cli.json_output import adapter_facts, base_facts, checkpoint_facts, report_facts
from ollama_pack.cli.output import print_json
from ollama_pack.cli.say import columns, error_lines, say
from ollama_pack.cli.sparkline import CURVE_WIDTH, sparkline
from ollama_pack.cli.value_lines import is_warning, lines_of
from ollama_pack.disk.files import megabytes
from ollama_pack.errors import one_line

if TYPE_CHECKING:
    from ollama_pack.gguf.model_info import Vocabulary
    from ollama_pack.lora.spectrum import Spectrum
    from ollama_pack.report.run import RunReport
    from ollama_pack.run.listing import File
    from ollama_pack.run.trainer_log import TrainerLog


LABEL = 13
SHOWN_NOTES = 3
"""The number of checkpoints that are shown at each end of a long list."""


def explain(directory: Path, name: str, *, as_json: bool) -> None:
    """Print what a file of this name is for, and what it contains if it is a pickle in the directory.

    Raises:
        InputError: the directory cannot be read.
    """
    from ollama_pack.run.file_roles import role_of
    from ollama_pack.run.pickle_scan import scan

    path = directory / name
    role = role_of(path.name, directory=path.is_dir())
    pickle = scan(path) if role.pickle and path.is_file() else None
    if as_json:
        facts = {
            "name": name,
            "file_kind": role.kind,
            "role": role.title,
            "use": role.use,
            "words": role.words,
        }
        print_json("file", {**facts, "there": path.exists(), "pickle": pickle and _pickle_facts(pickle)})
        return
    say(f"{name}: {role.title}")
    say(role.words, "  ")
    say(f"A build: {role.use}.", "  ")
    if role.pickle:
        say("It is a pickle: loading it runs code that it contains. ollama-pack never loads it.", "  ")
    if pickle is not None:
        say(f"Scan of this file: {pickle}.", "  ")
    if not path.exists():
        say(f"There is no such file in {directory}.", "  ")


def show_run(run: "RunReport", *, verbose: bool) -> None:
    """Print the files of a run, and what was found in them."""
    for size, line in _tree(run, verbose=verbose):
        say(line, f"{size:>10}  ")
    say()
    for stage, value in (("adapter", run.adapter), ("base", run.base)):
        if value is None:
            continue
        line, notes, details = lines_of(value)
        sizes = tuple(_spectrum_lines(run.spectra, verbose=verbose)) if stage == "adapter" else ()
        _print_labelled(stage, line, *details, *sizes, *notes)
    if run.vocabulary is not None:
        _print_labelled("tokenizer", _tokenizer(run.vocabulary))
    if run.log is not None and run.log.curves:
        _print_labelled("training", *_training(run.log))
    if run.checkpoints:
        _print_labelled("checkpoints", *_checkpoint_lines(run))
    if run.prompts is not None:
        _print_labelled("prompt", run.prompts.proof.result.summary, *run.prompts.pair.notes)
    elif run.prompt_note:
        _print_labelled("prompt", f"not compared: {run.prompt_note}")
    for note in run.notes:
        _print_labelled("note", note)
    for name, pickle in run.suspicious.items():
        _print_labelled("warning", f"{name}: {pickle}")
    if run.problem is None:
        _print_labelled("build", f"would create the model {run.name}")
    else:
        _print_labelled(
            "build", f"would fail with exit code {run.problem.exit_code}:", *error_lines(run.problem)
        )


def _print_labelled(label: str, *lines: str) -> None:
    """Print lines, the first one after its label."""
    for line in lines:
        label = "warning" if is_warning(line) else label
        say(line, f"{label:<{LABEL}}", level=label)
        label = ""


def _tree(run: "RunReport", *, verbose: bool) -> Iterator[tuple[str, str]]:
    """Yield a size and a line for each file at the top of the directory; with `verbose` for each file."""
    inside = {} if verbose else run.tree.kinds()
    for file in run.tree.files:
        if not (file.top or verbose):
            continue
        title = f"{file.role.title}, a link" if file.link else file.role.title
        if kinds := inside.get(file.name):
            counts = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
            title = f"{title}: {counts}"
        yield megabytes(file.size), f"{file.use:<8}  {one_line(file.name):<28}  {title}"
    if run.tree.more:
        yield "", f"{'':<8}  and {run.tree.more} more files, which were not read"


def _spectrum_lines(spectra: Sequence["Spectrum"], *, verbose: bool) -> Iterator[str]:
    """Yield the norm of ΔW and its directions for each kind of module; with `verbose` for each module."""
    if verbose:
        for each in spectra:
            yield f"‖ΔW‖ {each.norm:.4g}, {each.effective_rank} of {each.rank} directions: {each.module}"
        return
    kinds: dict[str, list[Spectrum]] = {}
    for each in spectra:
        kinds.setdefault(each.module.rpartition(".")[2], []).append(each)
    for kind, group in kinds.items():
        norms, used = [each.norm for each in group], [each.effective_rank for each in group]
        span = f"{min(norms):.3g}–{max(norms):.3g}" if len(group) > 1 else f"{norms[0]:.3g}"
        ranks = "/".join(map(str, sorted({each.rank for each in group})))
        yield f"{kind}: ‖ΔW‖ {span}, 99 % of it in {_range(used)} of {ranks} directions"


def _range(numbers: Sequence[int]) -> str:
    """Return the smallest and the largest number, or one number if all are equal."""
    return str(numbers[0]) if len(set(numbers)) == 1 else f"{min(numbers)}–{max(numbers)}"


def _tokenizer(vocabulary: "Vocabulary") -> str:
    """Return the number of tokens, their file, and the special tokens with their ids."""
    special = [f"{kind} {vocabulary.tokens.get(at, '')!r} ({at})" for kind, at in vocabulary.special.items()]
    return ", ".join((f"{len(vocabulary.tokens)} tokens in {vocabulary.origin}", *special))


def _training(log: "TrainerLog") -> Iterator[str]:
    """Yield the number of steps, and a sparkline for each logged curve."""
    room = columns(sys.stdout) or CURVE_WIDTH + LABEL + 10
    room = max(1, min(CURVE_WIDTH, room - LABEL - 10))
    yield f"{log.step} steps, {log.epoch:.3g} epochs"
    for name, label in (("loss", "loss"), ("eval_loss", "eval loss"), ("learning_rate", "rate")):
        curve = log.curves.get(name, ())
        if curve:
            values = [value for _, value in curve]
            figures = f"{values[0]:.4g} → {values[-1]:.4g}, minimum {min(values):.4g}"
            yield f"{label:<10}{sparkline(values, room)}  {figures}"


def _checkpoint_lines(run: "RunReport") -> Iterator[str]:
    """Yield the steps of the checkpoints, the best one, and the one with the weights of the directory."""
    names = [str(each.step) for each in run.checkpoints]
    if len(names) > 2 * SHOWN_NOTES:
        names = [*names[:SHOWN_NOTES], "…", *names[-SHOWN_NOTES:]]
    resumable = sum(each.resumable for each in run.checkpoints)
    yield f"steps {', '.join(names)}; resumable: {resumable} of {len(run.checkpoints)}"
    best = next((each for each in run.checkpoints if each.is_best), None)
    if best is not None:
        metric = best.log.best_metric if best.log else None
        yield f"best: {best.name}" + (f", {metric:.4g}" if metric is not None else "")
    if run.twin is not None:
        yield f"the adapter at the top equals that of {run.twin.name}, byte for byte"


def run_facts(run: "RunReport") -> dict[str, Any]:
    """Return the JSON object of a run."""
    return {
        "files": [_file_facts(file, run) for file in run.tree.files],
        "files_not_looked_at": run.tree.more,
        "adapter": {**adapter_facts(run.adapter), "spectra": list(map(_spectrum_facts, run.spectra))}
        if run.adapter
        else None,
        "base": base_facts(run.base) if run.base else None,
        "tokenizer": {"tokens": len(run.vocabulary.tokens), "special": dict(run.vocabulary.special)}
        if run.vocabulary
        else None,
        "training": _log_facts(run.log) if run.log else None,
        "checkpoints": [checkpoint_facts(each, is_root=each is run.twin) for each in run.checkpoints],
        "proofs": [report_facts(run.prompts.proof.result)] if run.prompts else [],
        "not_proved": [{"proof": "prompt", "why": run.prompt_note}] if run.prompt_note else [],
        "notes": list(run.notes),
        "name": run.name or None,
    }


def _file_facts(file: "File", run: "RunReport") -> dict[str, Any]:
    """Return the JSON object of a file."""
    pickle = run.pickles.get(file.name)
    return {
        "name": file.name,
        "kind": file.role.kind,
        "role": file.role.title,
        "use": file.use,
        "size": file.size,
        "words": file.role.words,
        "link": file.link,
        "pickle": _pickle_facts(pickle) if pickle else None,
    }


def _pickle_facts(pickle: Any) -> dict[str, Any]:
    """Return the JSON object of a pickle."""
    return {"verdict": pickle.verdict, "imports": list(pickle.imports), "why": pickle.why}


def _spectrum_facts(each: "Spectrum") -> dict[str, Any]:
    """Return the JSON object of the singular values of a weight."""
    return {"module": each.module, "norm": each.norm, "rank": each.rank, "used": each.effective_rank}


def _log_facts(log: "TrainerLog") -> dict[str, Any]:
    """Return the JSON object of a training log."""
    curves = {name: [list(point) for point in curve] for name, curve in log.curves.items()}
    return {"step": log.step, "epoch": log.epoch, "best": log.best, "curves": curves}
