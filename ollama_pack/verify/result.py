"""The result of a proof: its figure, its limit and a summary in words."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProofResult:
    """The result of a proof.

    Attributes:
        proof: the name of the proof, ``numbers``.
        passed: whether the figure is within the limit.
        figure: the worst value that was measured.
        limit: the largest value that passes; for the gain of a merged file, the smallest.
        summary: one line for the user.
        worst: the name of the tensor, file or conversation with the worst value; empty if there is none.

    Example:
        >>> from ollama_pack import Request, build
        >>> outcome = build(Request(directory="ada-lovelace-lora", base="smollm2:135m", via="folder"))
        >>> outcome.report.proof, outcome.report.passed, outcome.report.figure <= outcome.report.limit
        ('numbers', True, True)
    """

    proof: str
    passed: bool
    figure: float
    limit: float
    summary: str
    worst: str = ""
