"""Rounds a small change into the codes of a quantised tensor so that its whole length along ΔW is kept.

Rounding a changed weight to the nearest code loses what is smaller than half a step, which is nearly all of
the change of a usual adapter in 4 bits. Here a code moves by its whole steps, and by one more if the
remaining part of a step is at least `t`. The threshold `t` is chosen so that ⟨moves, change⟩ = ⟨change,
change⟩ over the whole tensor. The scales of the blocks stay as they are. See "A change in few bits is
rounded by a threshold" in docs/decisions.md.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ollama_pack.gguf.code_layouts import CODE_LAYOUTS, Bytes
from ollama_pack.gguf.codes import code_steps, codes_of, with_codes
from ollama_pack.gguf.ggml_types import BLOCKS
from ollama_pack.gguf.tensor_data import Float32

BINS = 1 << 14
"""The number of parts that a step is divided into, which is the resolution of a threshold."""

MOST_CLIPPED = 0.02
"""The share of a change that may lie beyond the first or the last code; above it, new scales are better."""

FARTHEST = 255
"""The largest number of steps that is counted; no code can move by more."""


@dataclass(slots=True)
class CodeMoves:
    """The scalar products of the moves of codes with the change, summed over the rows of a tensor.

    Attributes:
        whole: the product of the whole steps.
        by_rest: the product of one more step, for each bin of the remaining part of a step.
        clipped: the product of the steps that would go beyond the first or the last code.
        wanted: the product of the change with itself.
    """

    whole: float = 0.0
    by_rest: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    clipped: float = 0.0
    wanted: float = 0.0

    def join(self, other: "CodeMoves") -> None:
        """Add the sums of other rows."""
        self.whole += other.whole
        self.by_rest += other.by_rest
        self.clipped += other.clipped
        self.wanted += other.wanted

    def pack(self) -> bytes:
        """Return the sums as bytes, without rounding."""
        return np.concatenate(([self.whole, self.clipped, self.wanted], self.by_rest)).tobytes()

    @classmethod
    def unpack(cls, packed: bytes) -> "CodeMoves":
        """Return the sums from the bytes that `pack` made."""
        (whole, clipped, wanted), by_rest = np.split(np.frombuffer(packed, np.float64), [3])
        return cls(float(whole), by_rest, float(clipped), float(wanted))

    @property
    def is_beyond(self) -> bool:
        """Return whether so much of the change is beyond the codes that the scales should change."""
        return self.clipped > MOST_CLIPPED * self.wanted

    def threshold(self) -> float:
        """Return the remaining part of a step at which a code moves by one more."""
        reached = self.whole + np.cumsum(self.by_rest[::-1])[::-1]  # for each bin: it and all above it move
        over = np.flatnonzero(reached < self.wanted)
        return max(float(over[0] if over.size else BINS), 1.0) / BINS  # what does not change never moves


def measure_moves(raw: Bytes, kind: int, change: Float32) -> CodeMoves:
    """Return the sums over the moves of codes for some rows.

    Args:
        raw: the bytes of the rows.
        kind: a ggml type of `CODE_LAYOUTS`.
        change: what is added to the rows.
    """
    steps, codes = code_steps(raw, kind), codes_of(raw, kind)
    whole, rest, room, _ = _moves(steps, codes, kind, change)
    weight = np.abs(steps * change.reshape(steps.shape))
    left = room > whole
    bins = np.minimum(rest[left] * BINS, BINS - 1).astype(np.intp)
    return CodeMoves(
        whole=float(np.vdot(np.minimum(whole, room), weight)),
        by_rest=np.bincount(bins, weight[left], BINS).astype(np.float64, copy=False),
        clipped=float(np.vdot(np.maximum(whole - room, 0), weight)),
        wanted=float(np.vdot(change, change)),
    )


def move_codes(raw: Bytes, kind: int, change: Float32, threshold: float) -> Bytes:
    """Return the bytes of rows whose codes moved by a change, with the scales that they have.

    Args:
        raw: the bytes of the rows.
        kind: a ggml type of `CODE_LAYOUTS`.
        change: what is added to the rows.
        threshold: the result of `CodeMoves.threshold` for the whole tensor.
    """
    steps, codes = code_steps(raw, kind), codes_of(raw, kind)
    whole, rest, room, upwards = _moves(steps, codes, kind, change)
    moves = np.minimum(whole + (rest >= threshold), room).astype(np.int16)
    np.negative(moves, out=moves, where=~upwards)
    return with_codes(raw, kind, codes + moves)


def _moves(
    steps: Float32, codes: Bytes, kind: int, change: Float32
) -> tuple[Float32, Float32, Float32, npt.NDArray[np.bool_]]:
    """Return a change's whole steps, the rest of a step, how many steps the codes allow, and whether up."""
    with np.errstate(divide="ignore", invalid="ignore"):
        count = change.reshape(-1, BLOCKS[kind][0]) / steps
    count[steps == 0] = 0  # nothing moves a weight whose block has the scale 0
    upwards = count > 0
    size = np.minimum(np.abs(count, out=count), np.float32(FARTHEST))
    whole = np.floor(size)
    room = np.where(upwards, np.float32(CODE_LAYOUTS[kind].largest) - codes, codes.astype(np.float32))
    return whole, size - whole, room, upwards
