"""The figures of a change that a merged file keeps: gain, cosine and noise, from scalar products."""

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
        tensor: the GGUF name of the weight, or '' for all together.
        types: the type of the weight in the base and in the merged file, ``Q4_1 → Q8_0``.
        gain: the share of ΔW that is there along itself.
        cosine: the cosine between what was gained and ΔW.
        noise: the rest, relative to the weight.
        relative: ‖ΔW‖ / ‖W‖.
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
        result: the line of the proof: its figure is the gain of the worst weight.
        weights: the figures of each weight, in the order of the adapter.
        total: the figures of all weights together.
        untouched: how many tensors were found to have the bytes of the base.
    """

    result: ProofResult
    weights: tuple[KeptChange, ...]
    total: KeptChange
    untouched: int


@dataclass(slots=True)
class ScalarProducts:
    """The scalar products of one weight, as they grow.

    With E = D - R they are ⟨E, R⟩, ⟨E, E⟩, ⟨R, R⟩ and ⟨W, W⟩, from which those of D follow.
    """

    along: float = 0.0
    error: float = 0.0
    trained: float = 0.0
    weight: float = 0.0

    def add(self, base: Float32, merged: Float32, trained: Float32) -> None:
        """Add those of some rows, in the memory of `merged`. The products are float32, their sums double."""
        error = np.subtract(merged, base, out=merged if merged.flags.writeable else None)
        error -= trained
        self.along += _dot(error, trained)
        self.error += _dot(error, error)
        self.trained += _dot(trained, trained)
        self.weight += _dot(base, base)

    def join(self, other: "ScalarProducts") -> None:
        """Add those of another weight."""
        self.along += other.along
        self.error += other.error
        self.trained += other.trained
        self.weight += other.weight

    def pack(self) -> bytes:
        """Return them as bytes, all their digits."""
        return _PRODUCTS.pack(self.along, self.error, self.trained, self.weight)

    @classmethod
    def unpack(cls, packed: bytes) -> "ScalarProducts":
        """Return those that `pack` made bytes of."""
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
        """Return the figures."""
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
