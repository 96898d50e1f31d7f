"""Prove that every number of a GGUF LoRA file is finite, as the bytes on the disk are now.

A file that was damaged after its build may still have a valid header. NaN in it loads without an error, and
the model answers nonsense.
"""

import math
from pathlib import Path

import numpy as np

from ollama_pack.gguf.constants import ALPHA
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.verify.result import ProofResult


def prove_finite(path: Path) -> ProofResult:
    """Return how many tensors of a GGUF LoRA file have a number that is NaN or infinite; none may.

    Args:
        path: the file; every number in it is read.

    Raises:
        InputError: the file is damaged or cannot be read.
    """
    header = read_gguf(path)
    bad: list[str] = []
    alpha = header.metadata.get(ALPHA)
    if not isinstance(alpha, float) or not math.isfinite(alpha):
        bad.append(ALPHA)
    with TensorReader() as weights:
        for name in header.shapes:
            if not np.isfinite(weights.float32(header.stored(name))).all():
                bad.append(name)
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        summary = f"{path.name} has NaN or infinity in {bad[0]}{more}"
    else:
        summary = f"every number of {len(header.shapes)} tensors in {path.name} is finite"
    return ProofResult("numbers", not bad, float(len(bad)), 0.0, summary, bad[0] if bad else "")
