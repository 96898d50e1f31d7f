"""llama.cpp in a process of its own: prebuilt builds give probabilities, llama-cpp-python whole logits."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ask_build import REFUSES
from builds import VERSIONS

HERE = Path(__file__).parent
LIBRARIES = Path(os.environ.get("OLLAMA_PACK_TEST_LLAMA", HERE.parents[1] / ".cache" / "llama"))
SECONDS = 300
REFUSED, ABORTED, NO_BASE = "refuses the adapter", "aborts", "does not load the base"
"""What a build may do instead of answering."""

COLUMNS = "columns"
"""The record of which tokens of a large vocabulary PEFT's logits were kept."""

Answer = np.ndarray | str
"""Numbers for each token of the prompt and each of the vocabulary, or what the build did instead."""


@dataclass(frozen=True)
class Question:
    """What a llama.cpp is asked.

    Attributes:
        base: the GGUF file of the base.
        tokens: the prompt.
        adapters: GGUF LoRA files; None is the bare base.
        merged: GGUF files that are asked as bases of their own, after the adapters.
        last: whether the last token is enough, because the vocabulary is large.
    """

    base: Path
    tokens: tuple[int, ...]
    adapters: tuple[Path | None, ...] = ()
    merged: Sequence[Path] = ()
    last: bool = False


class Llama:
    """A llama.cpp to ask about adapters; a subclass says which, and what it can tell.

    Attributes:
        name: what tests call it.
    """

    name: str

    def ask(self, question: Question, scratch: Path) -> list[Answer]:
        """Return its answer for each adapter, then for each merged file."""
        raise NotImplementedError

    def measure(self, logits: np.ndarray) -> np.ndarray:
        """Return recorded logits as this llama.cpp tells them."""
        raise NotImplementedError

    def first(self, name: str, records: Container[str]) -> int:
        """Return the first row of what was recorded under a name that it is asked about; the last is -1."""
        raise NotImplementedError

    def truth(self, records: Path) -> dict[str, np.ndarray]:
        """Return what PEFT recorded, as this llama.cpp tells it; what is no logits stays as it is."""
        with np.load(records) as found:
            return {
                name: found[name]
                if name == "tokens" or name.startswith(("tokens:", COLUMNS))
                else self.measure(found[name][self.first(name, found) :])
                for name in found
            }


def only_last(name: str, records: Container[str]) -> bool:
    """Return whether the last token is all that a build is asked about, by the name of what was recorded.

    A large vocabulary takes it seconds for each token; and an aLoRA, which has tokens of its own, acts in
    llama-server only from its invocation on, which a prompt must have.
    """
    return COLUMNS in records or f"tokens:{name.removeprefix('base:')}" in records


class Logits(Llama):
    """llama-cpp-python, which pip compiles: it gives the logits themselves."""

    name = "logits"

    def __init__(self) -> None:
        if importlib.util.find_spec("llama_cpp") is None:
            pytest.skip("NOT TESTED by whole logits: llama-cpp-python is not installed (make logits)")

    def measure(self, logits: np.ndarray) -> np.ndarray:
        """Return them as they are."""
        return logits

    def first(self, name: str, records: Container[str]) -> int:  # noqa: ARG002
        """Return the very first."""
        return 0

    def ask(self, question: Question, scratch: Path) -> list[Answer]:
        """Return tokens × vocabulary for each adapter, also if only the last token is asked about.

        Nothing tells which of them it aborted on, so then it answers none.
        """
        answers, adapters, merged = scratch / "answers.npz", question.adapters, question.merged
        job = {"base": str(question.base), "adapters": texts(adapters), "merged": texts(merged)}
        named = {"tokens": list(question.tokens), "answers": str(answers)}
        ran = run(HERE / "ask_logits.py", job | named, scratch)
        if ran.returncode < 0:
            return [ABORTED for _ in (*adapters, *merged)]
        if ran.returncode != 0:
            pytest.fail(f"llama.cpp ended with {ran.returncode}:\n{ran.stderr[-2000:]}")
        with np.load(answers) as found:
            return [found.get(str(place), REFUSED) for place in range(len(adapters) + len(merged))]


@dataclass(frozen=True)
class Build(Llama):
    """A prebuilt build: it gives the probabilities of all next tokens, after each token of the prompt.

    Attributes:
        name: its number in llama.cpp.
        library: the directory that xllamacpp is in.
    """

    name: str
    library: Path

    def __post_init__(self) -> None:
        """Say loudly that it is not there."""
        if not self.library.is_dir():
            pytest.skip(
                f"NOT TESTED on llama.cpp {self.name}: it is not in {LIBRARIES} (make test fetches it)"
            )

    def measure(self, logits: np.ndarray) -> np.ndarray:
        """Return logarithms of probabilities."""
        above = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
        return above - np.log(np.exp(above).sum(axis=-1, keepdims=True))

    def first(self, name: str, records: Container[str]) -> int:
        """Return the last one if that is all it is asked about."""
        return -1 if only_last(name, records) else 0

    def ask(self, question: Question, scratch: Path) -> list[Answer]:
        """Return prompts × vocabulary for each adapter, then for each merged file as a base of its own."""
        answers = self.ask_adapters(question, scratch)
        for base in question.merged:
            bare = replace(question, base=base, adapters=(None,))
            answers += self.ask_adapters(bare, scratch)
        return answers

    def ask_adapters(self, question: Question, scratch: Path) -> list[Answer]:
        """Return the answer for each adapter; after one that it aborts on it starts again."""
        answers: list[Answer] = []
        while pending := question.adapters[len(answers) :]:
            answered, code = self.run(question, pending, scratch)
            answers += answered
            if code == REFUSES:
                return answers + self.sorted_out(replace(question, adapters=pending), scratch)
            if code < 0 and len(answered) < len(pending):
                answers.append(ABORTED)
        return answers

    def sorted_out(self, question: Question, scratch: Path) -> list[Answer]:
        """Return the answers if the base or any of the adapters is refused: each one is asked about alone."""
        if self.run(question, (None,), scratch)[1] == REFUSES:
            return [NO_BASE for _ in question.adapters]
        if len(question.adapters) == 1:
            return [REFUSED]
        alone = [
            self.ask_adapters(replace(question, adapters=(each,)), scratch) for each in question.adapters
        ]
        return [each for (each,) in alone]

    def run(
        self, question: Question, adapters: Sequence[Path | None], scratch: Path
    ) -> tuple[list[Answer], int]:
        """Return what one process answers before it ends, and its exit code."""
        for old in scratch.iterdir():
            old.unlink()
        tokens = list(question.tokens)
        prompts = [tokens[: length + 1] for length in range(len(tokens))][-1 if question.last else 0 :]
        job = {"library": str(self.library), "base": str(question.base), "prompts": prompts}
        ran = run(
            HERE / "ask_build.py", {**job, "answers": str(scratch), "adapters": texts(adapters)}, scratch
        )
        if ran.returncode > 0 and ran.returncode != REFUSES:
            pytest.fail(f"llama.cpp ended with {ran.returncode}:\n{ran.stderr[-2000:]}")
        files = [scratch / str(place) for place in range(len(adapters))]
        found = [np.fromfile(file, np.float32) for file in files if file.exists()]
        return [numbers.reshape(len(prompts), -1) for numbers in found], ran.returncode


LLAMAS = (*VERSIONS, pytest.param(Logits.name, marks=pytest.mark.logits))
"""The name of each llama.cpp, for tests that ask all of them."""


def find_llama(name: str) -> Llama:
    """Return a llama.cpp by its name; the test is skipped if it is not installed."""
    return Logits() if name == Logits.name else Build(name, LIBRARIES / name)


def texts(paths: Sequence[Path | None]) -> list[str | None]:
    """Return paths as JSON has them."""
    return [None if path is None else str(path) for path in paths]


def run(child: Path, job: dict[str, Any], scratch: Path) -> "subprocess.CompletedProcess[str]":
    """Give a job to a program."""
    path = scratch / "job.json"
    path.write_text(json.dumps(job), "utf-8")
    return subprocess.run(
        [sys.executable, child, path],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
        check=False,
        env=os.environ | {"GGML_NO_BACKTRACE": "1"},  # which a debugger would take ten seconds for
    )
