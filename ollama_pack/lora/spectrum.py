"""Measure a ΔW from its factors: its norm, its singular values and its angle to another ΔW.

With B = Q·R and Aᵀ = P·S the singular values of s·B·A are those of s·R·Sᵀ, which is rank × rank. The inner
product of two ΔW is the sum of the elementwise product of B₁ᵀB₂ and A₁A₂ᵀ. So ΔW itself is never computed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.lora.adapter import LoraPair

Float64 = npt.NDArray[np.float64]
ENERGY = 0.99
"""The share of ‖ΔW‖² that the directions of the effective rank must reach."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """The norm and the singular values of one ΔW.

    Attributes:
        module: the name of the weight in the base.
        rank: the rank of the factors, the largest number of directions that ΔW can have.
        values: the singular values, the largest first. For a stack of experts each value is the root mean
            square over the experts.
        norm: the Frobenius norm of ΔW, over all experts.
    """

    module: str
    rank: int
    values: tuple[float, ...]
    norm: float

    @property
    def effective_rank(self) -> int:
        """Return how many directions hold the share `ENERGY` of ‖ΔW‖², or 0 if ΔW is zero."""
        total = sum(value**2 for value in self.values)
        kept = 0.0
        for count, value in enumerate(self.values, 1):
            kept += value**2
            if total and kept >= ENERGY * total:
                return count
        return 0


def measure(pairs: Iterable[LoraPair]) -> tuple[Spectrum, ...]:
    """Return the spectrum of each pair. The pairs are read one at a time.

    Raises:
        InputError: a file is truncated or cannot be read.
    """
    with TensorReader() as source:
        return tuple(_spectrum(pair, *_factors(pair, source)) for pair in pairs)


def compare_pair(one: LoraPair, other: LoraPair) -> tuple[Spectrum, Spectrum, float | None]:
    """Return the spectra of two ΔW of the same shape, and the cosine of their angle, or None if one is zero.

    Raises:
        InputError: a file is truncated or cannot be read.
    """
    with TensorReader() as source:
        a1, b1 = _factors(one, source)
        a2, b2 = _factors(other, source)
    first, second = _spectrum(one, a1, b1), _spectrum(other, a2, b2)
    if not first.norm * second.norm:
        return first, second, None
    inner = float(np.sum((b1.swapaxes(-1, -2) @ b2) * (a1 @ a2.swapaxes(-1, -2))))
    return first, second, max(-1.0, min(1.0, inner / (first.norm * second.norm)))


def _factors(pair: LoraPair, source: TensorReader) -> tuple[Float64, Float64]:
    """Return A, and B multiplied by the scale, both in float64."""
    a, b = source.float32(pair.a).astype(np.float64), source.float32(pair.b).astype(np.float64)
    return a, b * pair.scale


def _spectrum(pair: LoraPair, a: Float64, b: Float64) -> Spectrum:
    """Return the spectrum of B·A, where B already includes the scale."""
    right = np.asarray(np.linalg.qr(a.swapaxes(-1, -2), mode="r"))
    left = np.asarray(np.linalg.qr(b, mode="r"))
    values = np.linalg.svd(left @ right.swapaxes(-1, -2), compute_uv=False)
    norm = float(np.sqrt(np.sum(values**2)))
    if values.ndim == 2:
        values = np.sqrt(np.mean(values**2, axis=0))
    return Spectrum(pair.module, pair.rank, tuple(map(float, values)), norm)
