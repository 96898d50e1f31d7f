"""READ  what of each row was proved, how and when: ``evidence.tsv``, which tests write from their records."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

EVIDENCE_FILE = Path(__file__).with_name("evidence.tsv")
LOGITS, CONVERTER = "logits", "converter"
EVIDENCE_KINDS = {
    LOGITS: "for each by itself llama.cpp answers as PEFT does, within 2 % of what the adapter changes",
    CONVERTER: "every weight lies where llama.cpp's converter of bases puts it",
}
"""How a class was proved → what that means."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was proved of a class.

    Attributes:
        arch: the row.
        model: the Hugging Face class.
        way: ``logits`` or ``converter``.
        date: of the record, ``2026-11-26``.
        modules: the last parts of the modules' names; ``experts`` are the routed ones, in one adapter.
    """

    arch: str
    model: str
    way: str
    date: str
    modules: tuple[str, ...]


@cache
def all_evidence() -> tuple[Evidence, ...]:
    """Return all that was proved, in the order of the file."""
    lines = [line for line in EVIDENCE_FILE.read_text("utf-8").splitlines() if not line.startswith("#")]
    return tuple(
        Evidence(arch, model, way, date, tuple(modules.split(", ")))
        for arch, model, way, date, modules in (line.split("\t") for line in lines)
    )


def evidence_of(arch: str) -> tuple[Evidence, ...]:
    """Return what was proved of the row of an architecture."""
    return tuple(proof for proof in all_evidence() if proof.arch == arch)
