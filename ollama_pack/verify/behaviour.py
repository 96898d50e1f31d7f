"""How a merged model behaves beside the base with the adapter of its own, token by token of a text.

Both tell how likely each next token is. The divergence of the one from the other (Kullback and Leibler's),
relative to that of the bare base, is the share of what the adapter changes that is not kept.
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
    """What a merged model keeps of the behaviour that an adapter gives its base.

    Attributes:
        divergence: how far the merged model is from the base with the adapter, in nats a token.
        base_divergence: how far the bare base is from it.
        tokens: how many tokens were compared.
    """

    divergence: float
    base_divergence: float
    tokens: int

    @property
    def kept(self) -> float:
        """Return the share of what the adapter changes that is kept."""
        return 1 - self.divergence / self.base_divergence if self.base_divergence else 1.0

    def __str__(self) -> str:
        """Return the figures, for people."""
        return (
            f"keeps {100 * self.kept:.1f} % of what the adapter changes: it diverges by "
            f"{self.divergence:.4f} nats a token, the bare base by {self.base_divergence:.4f}, over "
            f"{self.tokens} tokens"
        )


def compare_behaviour(library: Path, models: tuple[Path, Path, Path], text: str) -> Behaviour:
    """Return how near a merged model is to its base with the adapter.

    Args:
        library: a library of llama.cpp.
        models: the GGUF file of the base, the GGUF LoRA file, and the merged GGUF file.
        text: what both read.

    Raises:
        InputError: the text has less than two tokens.
        UnsupportedError: llama.cpp does not run one of the models, or they have not the same tokens.
    """
    if not text.strip():
        raise InputError("The text to compare behaviour on is empty.", code="no-text")
    base, adapter, merged = models
    with contextlib.ExitStack() as stack:
        sides = ((base, adapter), (base,), (merged,))
        streams = [stack.enter_context(_running(library, files, text)) for files in sides]
        heads = [_head(stream) for stream in streams]
        if len(set(heads)) > 1:
            raise UnsupportedError("The models do not read the text as the same tokens.", where=merged)
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
    """Yield a process that tells the logits of a text, and end it."""
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
    """Return bytes that a process tells.

    Raises:
        UnsupportedError: it ended before.
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
