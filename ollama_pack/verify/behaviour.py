"""How near a merged model is to the base with its separate adapter, token by token of a text.

Both give a probability to each next token. The Kullback–Leibler divergence of the merged model from the base
with the adapter, relative to that of the base alone, is the share of the adapter's effect that is not kept.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ollama_pack.engine import logits_worker
from ollama_pack.errors import InputError, UnsupportedError

Logits = npt.NDArray[np.float32]

ROWS = 8
"""Tokens that are compared at a time."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How much of an adapter's effect on the probabilities of tokens a merged model keeps.

    Attributes:
        divergence: the divergence of the merged model from the base with the adapter, in nats per token.
        base_divergence: the divergence of the base alone from the base with the adapter, in nats per token.
        tokens: the number of tokens that were compared.
    """

    divergence: float
    base_divergence: float
    tokens: int

    @property
    def kept(self) -> float:
        """Return the share of the adapter's effect that is kept."""
        return 1 - self.divergence / self.base_divergence if self.base_divergence else 1.0

    def __str__(self) -> str:
        """Return the figures, for people."""
        return (
            f"keeps {100 * self.kept:.1f} % of what the adapter changes: it diverges by "
            f"{self.divergence:.4f} nats per token, the base alone by {self.base_divergence:.4f}, over "
            f"{self.tokens} tokens"
        )


def compare_behaviour(library: Path, models: tuple[Path, Path, Path], text: str) -> Behaviour:
    """Return how near a merged model is to its base with the adapter.

    Args:
        library: a library of llama.cpp.
        models: the GGUF file of the base, the GGUF LoRA file, and the merged GGUF file.
        text: the text that all of them read.

    Raises:
        InputError: the text is empty.
        UnsupportedError: llama.cpp does not run one of the models, or they do not have the same tokens.
    """
    if not text.strip():
        raise InputError("The text to compare behaviour on is empty.", code="no-text")
    base, adapter, merged = models
    with contextlib.ExitStack() as stack:
        sides = ((base, adapter), (base,), (merged,))
        streams = [stack.enter_context(_running(library, files, text)) for files in sides]
        heads = [_head(stream) for stream in streams]
        if len(set(heads)) > 1:
            raise UnsupportedError("The models do not split the text into the same tokens.", where=merged)
        tokens, vocabulary = heads[0]
        total = np.zeros(2)
        for start in range(0, tokens, ROWS):
            count = min(ROWS, tokens - start)
            adapted, *others = [_log_shares(_rows_from(stream, count, vocabulary)) for stream in streams]
            shares = np.exp(adapted)
            total += [float((shares * (adapted - other)).sum()) for other in others]
    return Behaviour(float(total[1] / tokens), float(total[0] / tokens), tokens)


def _log_shares(logits: Logits) -> npt.NDArray[np.float64]:
    """Return the logarithms of probabilities."""
    numbers = logits.astype(np.float64)
    numbers -= numbers.max(axis=1, keepdims=True)
    result: npt.NDArray[np.float64] = numbers - np.log(np.exp(numbers).sum(axis=1, keepdims=True))
    return result


@contextlib.contextmanager
def _running(library: Path, files: Sequence[Path], text: str) -> "Iterator[subprocess.Popen[bytes]]":
    """Yield a process that writes the logits of a text, and end it."""
    pipe = subprocess.PIPE
    words = [sys.executable, "-I", "-S", logits_worker.__file__, str(library), *map(str, files)]
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(text.encode())
                process.stdin.close()
            yield process
        finally:
            process.kill()


def _head(process: "subprocess.Popen[bytes]") -> tuple[int, int]:
    """Return the number of tokens and the size of the vocabulary."""
    tokens, vocabulary = logits_worker.LOGITS_HEAD.unpack(_exactly(process, logits_worker.LOGITS_HEAD.size))
    return tokens, vocabulary


def _rows_from(process: "subprocess.Popen[bytes]", count: int, vocabulary: int) -> Logits:
    """Return the logits of the next tokens."""
    return np.frombuffer(_exactly(process, 4 * count * vocabulary), "<f4").reshape(count, vocabulary)


def _exactly(process: "subprocess.Popen[bytes]", count: int) -> bytes:
    """Return the next `count` bytes that a process writes.

    Raises:
        UnsupportedError: the process ended before.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    content = process.stdout.read(count)
    if len(content) != count:
        said = process.stderr.read().decode("utf-8", "replace").strip().splitlines()
        raise UnsupportedError(
            f"llama.cpp does not run the model: {said[-1] if said else 'its process ended'}.",
            hint="leave out --kept-on",
            code="not-run",
        )
    return content
