"""Compares the prompts that a daemon renders for a model; for a new model, before it takes its name."""

from functools import partial
from typing import TYPE_CHECKING

from ollama_pack.disk.files import Note
from ollama_pack.errors import DestinationError, ProofError, UnsupportedError
from ollama_pack.pipeline.prompt.verdict import PromptVerdict, chat_clock, reason_of_prompt
from ollama_pack.verify.result import ProofResult

if TYPE_CHECKING:
    from ollama_pack.deliver.package import Gate, Package
    from ollama_pack.ollama.daemon import Daemon


def prompt_gate(gate: "Gate", verdict: PromptVerdict, note: Note, *, strict: bool = False) -> "Gate":
    """Return a proof of a model that also compares the prompts that the daemon renders.

    They are compared with those of the chat template that was trained; if none is known, with the computed
    prompts, so that what was proved of those holds for the daemon. If nothing could be computed, as for
    Ollama's own renderers, what the daemon renders is the only proof.

    Args:
        gate: the proof so far.
        verdict: what is known of the prompts.
        note: called with ``proof`` and the result, or with ``unproved`` and why the daemon failed.
        strict: whether prompts that differ are an error even if nothing could be computed before.
    """
    if verdict.sent is None:
        return gate

    def prove(package: "Package", daemon: "Daemon") -> None:
        gate(package, daemon)
        try:
            result = _asked(verdict, package, daemon)
        except (DestinationError, UnsupportedError) as error:
            note("unproved", f"rendered: {reason_of_prompt(error)}")
            return
        if result is None:
            return
        if not result.passed and (verdict.is_proved or verdict.trained is None):
            raise ProofError(
                f"The daemon renders other prompts than were computed: {result.summary}, "
                f"not {result.worst!r}.",
                where=daemon.address,
                hint="--no-load  leaves out the proofs that ask the daemon",
                code="prompt",
            )
        if not result.passed and verdict.result is None and strict:
            raise ProofError(
                f"The prompts are not those that the model was trained with: {result.summary}, "
                f"not {result.worst!r}.",
                where=daemon.address,
                hint="without --strict, the difference is only reported",
                code="prompt",
            )
        note("proof", result)

    return prove


def _asked(verdict: PromptVerdict, package: "Package", daemon: "Daemon") -> ProofResult | None:
    """Return what the daemon says of the prompts of a model, or None if it says nothing."""
    from ollama_pack.ollama.api_types import RENDERING_PATHS
    from ollama_pack.verify.rendered import prove_rendered

    name = package.place.display
    assert verdict.sent is not None
    ask = {path: partial(daemon.rendered, name, path=path) for path in RENDERING_PATHS}
    try:
        with chat_clock() as renderer:
            return prove_rendered(verdict.trained, verdict.sent, renderer, ask)
    finally:
        daemon.unload(name)
