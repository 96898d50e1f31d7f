"""The result of a proof: its figure, its limit and the line that a person reads."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProofResult:
    """What a proof found.

    Attributes:
        proof: which one, ``numbers``.
        passed: whether the figure keeps the limit.
        figure: the worst value found.
        limit: what it may be at most.
        summary: the line a person reads.
        worst: the tensor the figure belongs to.
    """

    proof: str
    passed: bool
    figure: float
    limit: float
    summary: str
    worst: str = ""
