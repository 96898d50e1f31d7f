"""The prompts of a model on the page of a report: as trained and as Ollama sends them, side by side."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ollama_pack.errors import one_line
from ollama_pack.pipeline.prompt.rows import prompt_rows
from ollama_pack.pipeline.prompt.view import PromptView


def prompt_section(view: PromptView) -> dict[str, Any]:
    """Return what the page shows of the prompts: the figures, and the conversations, one of them unfolded.

    Args:
        view: the prompts, compared.
    """
    pair, proof = view.pair, view.proof
    special = {kind: sum(each.is_equal for each in some) for kind, some in proof.special.items()}
    facts = [
        ("trained", Path(pair.trained.origin).name),
        ("sent", pair.sender),
        ("compared", proof.result.summary),
        *(("changed", note) for note in pair.notes),
        *((kind, f"{equal} of {len(proof.special[kind])} equal") for kind, equal in special.items()),
    ]
    return {
        "facts": [(term, one_line(text)) for term, text in facts],
        "system": one_line(pair.sent.system),
        "talks": list(_talks(view)),
    }


def _talks(view: PromptView) -> Iterator[dict[str, Any]]:
    """Yield the conversations that the chat template accepts; first the one that shows most, unfolded."""
    proof, first = view.proof, view.telling
    others = [*proof.plain, *(each for some in proof.special.values() for each in some)]
    for each in (first, *(other for other in others if other is not first)):
        if each.trained is None:
            continue
        rows = prompt_rows(each.trained, each.sent or "", view.pair.special)
        yield {"name": each.name, "state": each.state, "open": each is first, "rows": list(rows)}
