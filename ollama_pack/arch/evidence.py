"""Evidence for each architecture: what was tested, how and when.

The tests write ``evidence.tsv`` from their records (`make goldens`); this module reads it.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

EVIDENCE_FILE = Path(__file__).with_name("evidence.tsv")
LOGITS, CONVERTER = "logits", "converter"
EVIDENCE_KINDS = {
    LOGITS: "for each kind of module, llama.cpp's logits equal PEFT's within 2 % of the adapter's effect",
    CONVERTER: "every weight goes where llama.cpp's own converter puts it",
}
"""Kind of evidence → what it means, as ``archs`` prints it."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was proved for one Hugging Face class.

    Attributes:
        arch: the name of the architecture in GGUF files.
        model: the Hugging Face class.
        way: the kind of evidence, ``logits`` or ``converter``.
        date: the day of the record, ``2026-11-26``.
        modules: the last part of each module's name. ``experts`` stands for all routed experts together.
    """

    arch: str
    model: str
    way: str
    date: str
    modules: tuple[str, ...]


@cache
def all_evidence() -> tuple[Evidence, ...]:
    """Return the evidence for all classes, in the order of ``evidence.tsv``."""
    lines = [line for line in EVIDENCE_FILE.read_text("utf-8").splitlines() if not line.startswith("#")]
    return tuple(
        Evidence(arch, model, way, date, tuple(modules.split(", ")))
        for arch, model, way, date, modules in (line.split("\t") for line in lines)
    )


def evidence_of(arch: str) -> tuple[Evidence, ...]:
    """Return the evidence for one architecture; the tuple is empty if there is none."""
    return tuple(evidence for evidence in all_evidence() if evidence.arch == arch)
