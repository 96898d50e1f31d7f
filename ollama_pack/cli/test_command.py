"""The command ``ollama-pack test``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli import options, path_types
from ollama_pack.cli.events.options import telling
from ollama_pack.cli.output import Console, print_json
from ollama_pack.cli.say import say
from ollama_pack.cli.try_command import opened_trial, runner_facts, said_facts, trial_options, trial_request
from ollama_pack.disk.files import whole_file
from ollama_pack.errors import PackError, UsageError, file_in_the_way

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ollama_pack.pipeline.trial.answering import Answering
    from ollama_pack.pipeline.trial.cases import FigureCase
    from ollama_pack.pipeline.trial.testing import CaseResult

_MARK_WIDTH = 8
_MOST_FIRST = 20
"""Number of questions of the training data that a first file of cases has at most."""


@click.command("test")
@options.source
@click.option(
    "--cases",
    type=path_types.FILE,
    required=True,
    metavar="FILE",
    help="The cases: YAML, or JSON lines (.jsonl).",
)
@click.option(
    "--init",
    is_flag=True,
    help="Write a first FILE of cases from the training data, if it is on this machine.",
)
@click.option(
    "--data",
    type=path_types.FILE,
    default=None,
    metavar="FILE",
    help="Training data for --init.  [default: what the trainer's settings name, else files near DIR]",
)
@click.option(
    "--compare/--no-compare",
    default=True,
    show_default=True,
    help="Ask the base the same questions. Its answers do not change the result.",
)
@trial_options
@telling
@options.as_json
@click.option("-v", "--verbose", is_flag=True, help="Print every answer, and the log of llama.cpp.")
@options.quiet
def test_command(*, source: Path, cases: Path, **chosen: Any) -> None:
    """Test the adapted model by questions, and by how likely it finds given answers.

    An adapter in DIR needs no build: the models run as in try. If a case does not hold, the
    exit code is 5, and the output says what was expected and what was answered.

    \b
    Examples:
      ollama-pack test ada-lovelace-lora/ --cases ada.yaml --base smollm2.gguf
      ollama-pack test ada-lovelace --cases ada.yaml --write junit=results.xml
      ollama-pack test ada-lovelace-lora/ --cases ada.yaml --init --data train.jsonl
    """
    from ollama_pack.pipeline.trial.cases import read_cases
    from ollama_pack.pipeline.trial.testing import failed_cases, run_cases, summary_of

    console = Console.of(chosen)
    if chosen["init"]:
        _write_first(cases, _training_data(source, chosen["data"], console))
        say(cases)
        return
    if chosen["data"] is not None:
        raise click.UsageError("--data needs --init.")
    found = read_cases(cases)
    quiet = console.for_programs
    with opened_trial(trial_request(source, chosen), chosen, console) as answering:
        results = []
        for result in run_cases(answering, found, compare=chosen["compare"]):
            results.append(result)
            if not quiet:
                _say_result(result, verbose=chosen["verbose"])
        facts = test_facts(answering, results)
    facts["trainer"] = _trainer_facts(source, found.figures, results, console)
    if not quiet:
        say(summary_of(results))
    console.made("test", facts)
    if chosen["as_json"]:
        print_json("test", facts)
    if not facts["passed"]:
        console.failed(failed_cases(tuple(results), cases))
        click.get_current_context().exit(5)


def _training_data(source: Path, given: Path | None, console: Console) -> "tuple[Path, ...]":
    """Return the files with the training data, and report which they are.

    Raises:
        UsageError: there is none on this machine.
    """
    from ollama_pack.pipeline.output_dir import adapter_home
    from ollama_pack.pipeline.trial.training_data import find_training_data

    if given is not None:
        return (given,)
    found = find_training_data(adapter_home(source) if source.is_dir() else source)
    if not found.files:
        named = f" {found.origin} names {', '.join(found.elsewhere)}." if found.elsewhere else ""
        raise UsageError(
            f"There is no training data on this machine.{named}",
            where=source,
            hint="--data FILE.jsonl",
            code="no-training-data",
        )
    by = f", which {found.origin} names" if found.origin else ""
    console.stage_done("data", f"{', '.join(map(str, found.files))}{by}")
    return found.files


def _trainer_facts(
    source: Path, figures: "tuple[FigureCase, ...]", results: "Sequence[CaseResult]", console: Console
) -> dict[str, Any] | None:
    """Report the trainer's eval loss, and return its JSON object; None if there is none."""
    from ollama_pack.pipeline.trial.trainer_loss import loss_of_trainer

    try:
        found = loss_of_trainer(source, figures)
    except PackError as error:
        console.stage_done("note", f"the training log cannot be read: {error.where}: {error.clause}")
        return None
    if found is None:
        return None
    loss, step = found.measured.loss, found.measured.step
    why = f"; these may be different measures: {'; '.join(found.unlike)}" if found.unlike else ""
    ours = [
        f"{list(each.likelihoods.values())[-1].loss:.4f} on {each.name}"
        for each in results
        if each.likelihoods
    ]
    beside = f", here {', '.join(ours)}" if ours else ""
    console.stage_done("trainer", f"eval loss {loss:.4f} at step {step}{beside}{why}")
    return {"eval_loss": loss, "step": step, "unlike": list(found.unlike)}


def _write_first(path: Path, data: "tuple[Path, ...]") -> None:
    """Write a first file of cases.

    Raises:
        RefusedError: the file is there already.
    """
    from ollama_pack.pipeline.trial.messages import read_conversations
    from ollama_pack.pipeline.trial.perplexity import turns_of
    from ollama_pack.pipeline.trial.testing import first_cases

    if path.exists():
        raise file_in_the_way(path, hint="--cases with another name, or move the file away")
    pairs = [
        (before.messages[-1]["content"], answer)
        for each in data
        for conversation in read_conversations(each)
        for before, answer in turns_of(conversation)
        if len(before.messages) == 1
    ]
    pairs = list(dict(pairs).items())
    step = max(1, len(pairs) // _MOST_FIRST)
    with whole_file(path) as file:
        file.write(first_cases(tuple(pairs[::step][:_MOST_FIRST])).encode())


def _say_result(result: "CaseResult", *, verbose: bool) -> None:
    """Print what became of a case."""
    label, level = ("passed", "ok") if result.passed else ("failed", "problem")
    say(result.name, f"{label:<{_MARK_WIDTH}}", level=level)
    for each in result.likelihoods.values():
        text = f"{each.voice}: perplexity {each.perplexity:.4g}, loss {each.loss:.4f}, {each.tokens} tokens"
        say(text, " " * _MARK_WIDTH)
    for check in result.checks:
        if not check.holds:
            say(f"{check.expectation} {check.expected}, got {check.got}", " " * _MARK_WIDTH)
    if verbose and result.answer is not None:
        say(" ".join(result.answer.text.split()), " " * _MARK_WIDTH)


def test_facts(answering: "Answering", results: "Sequence[CaseResult]") -> dict[str, Any]:
    """Return the JSON object of a test; each case is a proof too, for the views that show proofs."""
    from ollama_pack.pipeline.trial.testing import case_proof, summary_of

    return {
        "name": answering.trial.name,
        "passed": all(result.passed for result in results),
        "summary": summary_of(results),
        "prompt": {"kind": answering.trial.prompts.kind, "origin": answering.trial.prompts.origin},
        "runners": runner_facts(answering),
        "cases": [case_facts(result) for result in results],
        "proofs": [asdict(case_proof(result)) for result in results],
    }


def case_facts(result: "CaseResult") -> dict[str, Any]:
    """Return the JSON object of a case."""
    return {
        "name": result.name,
        "passed": result.passed,
        "base_passes": result.base_passes,
        "answer": said_facts("adapted", result.answer) if result.answer is not None else None,
        "checks": [
            {
                "expectation": check.expectation,
                "expected": check.expected,
                "got": check.got,
                "holds": check.holds,
            }
            for check in result.checks
        ],
        "likelihoods": [
            {"voice": each.voice, "tokens": each.tokens, "loss": each.loss, "perplexity": each.perplexity}
            for each in result.likelihoods.values()
        ],
    }
