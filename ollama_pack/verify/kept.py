"""The figures of a change that a merged file keeps: gain, cosine and noise, from scalar products.

W is a weight of the base, R what was trained of it (ΔW), and D what the weight of the merged file differs by.
"""

import math
import struct
from dataclasses import dataclass

import numpy as np

from ollama_pack.gguf.tensor_data import Float32
from ollama_pack.verify.result import ProofResult

_PRODUCTS = struct.Struct("<4d")


@dataclass(frozen=True, slots=True)
class KeptChange:
    """How much of the change of one weight, or of all of them together, a merged file keeps.

    Attributes:
        tensor: the GGUF name of the weight; empty for all weights together.
        types: the type of the weight in the base and in the merged file, ``Q4_1 → Q8_0``.
        gain: ⟨D, R⟩ / ⟨R, R⟩, which is 1 if all of ΔW is kept.
        cosine: the cosine between D and R.
        noise: ‖D − R‖ / ‖W‖.
        relative: ‖R‖ / ‖W‖.
        nbytes: the size of the weight in the merged file, in bytes.
        base_nbytes: its size in the base, in bytes.
    """

    tensor: str
    types: str
    gain: float
    cosine: float
    noise: float
    relative: float
    nbytes: int
    base_nbytes: int


@dataclass(frozen=True, slots=True)
class MergeReport:
    """The result of the proof, with its figures.

    Attributes:
        result: the result of the proof; its figure is the gain of the worst weight.
        weights: the figures of each weight, in the order of the adapter.
        total: the figures of all weights together.
        untouched: the number of tensors that were found to have the bytes of the base.
    """

    result: ProofResult
    weights: tuple[KeptChange, ...]
    total: KeptChange
    untouched: int


@dataclass(slots=True)
class ScalarProducts:
    """The scalar products of one weight, as they grow.

    With E = D − R they are ⟨E, R⟩, ⟨E, E⟩, ⟨R, R⟩ and ⟨W, W⟩; the products of D follow from them.
    """

    along: float = 0.0
    error: float = 0.0
    trained: float = 0.0
    weight: float = 0.0

    def add(self, base: Float32, merged: Float32, trained: Float32) -> None:
        """Add the products of some rows, and overwrite `merged`. Products are float32, their sums float64."""
        error = np.subtract(merged, base, out=merged if merged.flags.writeable else None)
        error -= trained
        self.along += _dot(error, trained)
        self.error += _dot(error, error)
        self.trained += _dot(trained, trained)
        self.weight += _dot(base, base)

    def join(self, other: "ScalarProducts") -> None:
        """Add the products of another weight."""
        self.along += other.along
        self.error += other.error
        self.trained += other.trained
        self.weight += other.weight

    def pack(self) -> bytes:
        """Return the products as bytes, without rounding."""
        return _PRODUCTS.pack(self.along, self.error, self.trained, self.weight)

    @classmethod
    def unpack(cls, packed: bytes) -> "ScalarProducts":
        """Return the products from the bytes that `pack` made."""
        return cls(*_PRODUCTS.unpack(packed))

    @property
    def product(self) -> float:
        """Return ⟨D, R⟩."""
        return self.along + self.trained

    @property
    def change(self) -> float:
        """Return ⟨D, D⟩."""
        return max(self.error + 2 * self.along + self.trained, 0.0)

    @property
    def miss(self) -> float:
        """Return ‖W' − (W + ΔW)‖, relative to ‖W‖ + ‖ΔW‖."""
        length = math.sqrt(self.weight) + math.sqrt(self.trained)
        return math.sqrt(self.error) / length if length else 0.0

    def kept(self, tensor: str, types: str, nbytes: int, base_nbytes: int) -> KeptChange:
        """Return the figures of a weight, or of several together."""
        both = math.sqrt(self.change * self.trained)
        weight = math.sqrt(self.weight)
        return KeptChange(
            tensor=tensor,
            types=types,
            gain=self.product / self.trained if self.trained else 1.0,
            cosine=self.product / both if both else 1.0,
            noise=math.sqrt(self.error) / weight if weight else math.inf,
            relative=math.sqrt(self.trained) / weight if weight else math.inf,
            nbytes=nbytes,
            base_nbytes=base_nbytes,
        )


def _dot(one: Float32, other: Float32) -> float:
    """Return the scalar product of two matrices."""
    return float(np.vdot(one, other))
