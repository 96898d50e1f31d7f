"""PEFT's records beside llama.cpp's answers."""

import importlib.util

import numpy as np
from archive import unpacked
from asking import COLUMNS
from kinds import Kind

from ollama_pack.pipeline.request import Request

RECORDS = "kinds"
OUTTYPES = ("f32", "f16")
TORCH = importlib.util.find_spec("torch") is not None


def request_of(kind: Kind) -> Request:
    """Return what a user would ask for."""
    home = unpacked(RECORDS, kind.model) / (kind.folder or kind.case)
    directory, *others = (home / inside for inside in kind.inside)
    return Request(directory=directory, others=tuple(others), **kind.asked)


class Judge:
    """PEFT's records and a llama.cpp's answers for one model."""

    def __init__(self, llama, truth, answers):
        self.llama, self.truth, self.answers = llama, truth, answers

    @property
    def cases(self) -> set[str]:
        """Return what was judged."""
        return {case for case, _ in self.answers}

    def of_base(self, case: str = "") -> np.ndarray:
        """Return what was recorded without an adapter, for the tokens of a case."""
        return self.truth.get(f"base:{case}", self.truth["base"])

    def seen(self, logits: np.ndarray) -> np.ndarray:
        """Return the columns of the vocabulary that were recorded."""
        columns = self.truth.get(COLUMNS)
        return logits if columns is None else self.llama.measure(logits[:, columns])

    def effect(self, case: str) -> float:
        """Return the largest change by the adapter, as PEFT has it."""
        return float(np.abs(self.truth[case] - self.of_base(case)).max())

    def miss(self, case: str, outtype: str) -> float:
        """Return the largest difference from PEFT, in units of the effect."""
        logits = self.answers[case, outtype]
        assert isinstance(logits, np.ndarray), f"llama.cpp {self.llama.name} {logits}"
        return float(np.abs(self.seen(logits) - self.truth[case]).max()) / self.effect(case)
