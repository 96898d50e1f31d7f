"""How `inspect` shows a training run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli.json_output import adapter_facts, base_facts, checkpoint_facts
from ollama_pack.cli.output import lines_of, print_json
from ollama_pack.cli.sparkline import sparkline
from ollama_pack.errors import one_line, printable
from ollama_pack.files import megabytes

if TYPE_CHECKING:
    from ollama_pack.gguf.model_info import Vocabulary
    from ollama_pack.lora.spectrum import Spectrum
    from ollama_pack.report.run import RunReport
    from ollama_pack.run.listing import File
    from ollama_pack.run.trainer_log import TrainerLog


LABEL = 13
SHOWN_NOTES = 3


def explain(directory: Path, name: str, *, as_json: bool) -> None:
    """Say what one file of a directory is for, or what a file of that name would be for.

    Raises:
        InputError: the directory cannot be read.
    """
    from ollama_pack.run.file_roles import role_of
    from ollama_pack.run.pickle_scan import scan

    path = directory / name
    role = role_of(path.name, directory=path.is_dir())
    pickle = scan(path) if role.pickle and path.is_file() else None
    if as_json:
        facts = {"name": name, "kind": role.kind, "role": role.title, "use": role.use, "words": role.words}
        print_json("file", {**facts, "there": path.exists(), "pickle": pickle and _pickle_facts(pickle)})
        return
    click.echo(f"{one_line(name)}: {role.title}")
    click.echo(f"  {role.words}")
    click.echo(f"  A build: {role.use}.")
    if role.pickle:
        click.echo("  It is a pickle: whoever loads it runs what is in it. ollama-pack never loads it.")
    if pickle is not None:
        click.echo(f"  This one: {one_line(str(pickle))}.")
    if not path.exists():
        click.echo(f"  There is no such file in {one_line(str(directory))}.")


def show_run(seen: "RunReport", *, verbose: bool) -> None:
    """Print the files of a run, and what was made of them."""
    for line in _tree(seen, verbose=verbose):
        click.echo(line)
    click.echo()
    for stage, value in (("adapter", seen.adapter), ("base", seen.base)):
        if value is None:
            continue
        first, told, more = lines_of(value)
        size = tuple(_sizes(seen.spectra, verbose=verbose)) if stage == "adapter" else ()
        _say(stage, first, *more, *size, *told)
    if seen.vocabulary is not None:
        _say("tokenizer", _tokenizer(seen.vocabulary))
    if seen.log is not None and seen.log.curves:
        _say("training", *_training(seen.log))
    if seen.checkpoints:
        _say("checkpoints", *_checkpoint_lines(seen))
    for note in seen.notes:
        _say("note", one_line(note))
    for name, pickle in seen.suspicious.items():
        _say("warning", f"{one_line(name)}: {one_line(str(pickle))}")
    if seen.problem is None:
        _say("build", f"would make the model {seen.name}")
    else:
        _say("build", f"would fail with exit code {seen.problem.exit_code}:", *str(seen.problem).splitlines())


def _say(label: str, *lines: str) -> None:
    for line in lines:
        click.echo(f"{label:<{LABEL}}{printable(line)}")
        label = ""


def _tree(seen: "RunReport", *, verbose: bool) -> Iterator[str]:
    inside = {} if verbose else seen.tree.kinds()
    for file in seen.tree.files:
        if not (file.top or verbose):
            continue
        title = f"{file.role.title}, a link" if file.link else file.role.title
        if kinds := inside.get(file.name):
            told = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
            title = f"{title}: {told}"
        yield f"{megabytes(file.size):>10}  {file.use:<8}  {one_line(file.name):<28}  {title}"
    if seen.tree.more:
        yield f"{'':>10}  {'':<8}  and {seen.tree.more} more, which were not looked at"


def _sizes(spectra: Sequence["Spectrum"], *, verbose: bool) -> Iterator[str]:
    """Yield how large ΔW is, for each kind of module; with `verbose` for each module."""
    if verbose:
        for each in spectra:
            yield f"‖ΔW‖ {each.norm:.4g}, {each.effective_rank} of {each.rank} directions: {each.module}"
        return
    kinds: dict[str, list[Spectrum]] = {}
    for each in spectra:
        kinds.setdefault(each.module.rpartition(".")[2], []).append(each)
    for kind, found in kinds.items():
        norms, used = [each.norm for each in found], [each.effective_rank for each in found]
        span = f"{min(norms):.3g}–{max(norms):.3g}" if len(found) > 1 else f"{norms[0]:.3g}"
        ranks = "/".join(map(str, sorted({each.rank for each in found})))
        yield f"{kind}: ‖ΔW‖ {span}, 99 % of it in {_typical(used)} of {ranks} directions"


def _typical(used: Sequence[int]) -> str:
    """Return a number, or from where to where they go."""
    return str(used[0]) if len(set(used)) == 1 else f"{min(used)}–{max(used)}"


def _tokenizer(vocabulary: "Vocabulary") -> str:
    special = [f"{kind} {vocabulary.tokens.get(at, '')!r} ({at})" for kind, at in vocabulary.special.items()]
    return ", ".join((f"{len(vocabulary.tokens)} tokens of {vocabulary.origin}", *special))


def _training(log: "TrainerLog") -> Iterator[str]:
    yield f"{log.step} steps, {log.epoch:.3g} epochs"
    for name, words in (("loss", "loss"), ("eval_loss", "eval loss"), ("learning_rate", "rate")):
        curve = log.curves.get(name, ())
        if curve:
            values = [value for _, value in curve]
            told = f"{values[0]:.4g} → {values[-1]:.4g}, least {min(values):.4g}"
            yield f"{words:<10}{sparkline(values)}  {told}"


def _checkpoint_lines(seen: "RunReport") -> Iterator[str]:
    names = [str(each.step) for each in seen.checkpoints]
    if len(names) > 2 * SHOWN_NOTES:
        names = [*names[:SHOWN_NOTES], "…", *names[-SHOWN_NOTES:]]
    goes_on = sum(each.resumable for each in seen.checkpoints)
    yield f"steps {', '.join(names)}; resumable: {goes_on} of {len(seen.checkpoints)}"
    best = next((each for each in seen.checkpoints if each.is_best), None)
    if best is not None:
        measured = best.log.best_metric if best.log else None
        yield f"the best: {best.name}" + (f", {measured:.4g}" if measured is not None else "")
    if seen.twin is not None:
        yield f"the adapter at the top is that of {seen.twin.name}, byte for byte"


def facts_of_run(seen: "RunReport") -> dict[str, Any]:
    """Return what was found in a run."""
    return {
        "files": [_file_facts(file, seen) for file in seen.tree.files],
        "files_not_looked_at": seen.tree.more,
        "adapter": {**adapter_facts(seen.adapter), "spectra": list(map(_spectrum_facts, seen.spectra))}
        if seen.adapter
        else None,
        "base": base_facts(seen.base) if seen.base else None,
        "tokenizer": {"tokens": len(seen.vocabulary.tokens), "special": dict(seen.vocabulary.special)}
        if seen.vocabulary
        else None,
        "training": _log_facts(seen.log) if seen.log else None,
        "checkpoints": [checkpoint_facts(each, is_root=each is seen.twin) for each in seen.checkpoints],
        "notes": list(seen.notes),
        "name": seen.name or None,
    }


def _file_facts(file: "File", seen: "RunReport") -> dict[str, Any]:
    pickle = seen.pickles.get(file.name)
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
    return {"verdict": pickle.verdict, "imports": list(pickle.imports), "why": pickle.why}


def _spectrum_facts(each: "Spectrum") -> dict[str, Any]:
    return {"module": each.module, "norm": each.norm, "rank": each.rank, "used": each.effective_rank}


def _log_facts(log: "TrainerLog") -> dict[str, Any]:
    curves = {name: [list(point) for point in curve] for name, curve in log.curves.items()}
    return {"step": log.step, "epoch": log.epoch, "best": log.best, "curves": curves}
