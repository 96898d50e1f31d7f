"""Rounds a small change into the codes of a quantised tensor so that the whole of it is there, along itself.

Rounding a changed weight to the nearest code loses what is smaller than half a step, which is nearly all of
the change of a usual adapter in 4 bits. Here a code moves by one more where what is left of the change is at
least `t` steps, and `t` is that number for which the moves, summed along the change, are the change. The
scales of the blocks stay as they are. See "A change in few bits is rounded by a threshold" in
docs/decisions.md.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ollama_pack.gguf.code_layouts import CODE_LAYOUTS, Bytes
from ollama_pack.gguf.codes import code_steps, codes_of, with_codes
from ollama_pack.gguf.ggml_types import BLOCKS
from ollama_pack.gguf.tensor_data import Float32

BINS = 1 << 14
"""Parts of a step that thresholds are told apart by."""

MOST_CLIPPED = 0.02
"""Share of a change that may be beyond the first or the last code; with more, new scales are better."""

FARTHEST = 255
"""Steps that are counted, which is more than any type has codes."""


@dataclass(slots=True)
class CodeMoves:
    """What the moves of codes amount to along the change, as it grows over the rows of a tensor.

    Attributes:
        whole: what the whole steps amount to.
        by_rest: what one step more amounts to, for each part of a step that is left.
        clipped: what is beyond the first or the last code.
        wanted: the change itself.
    """

    whole: float = 0.0
    by_rest: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    clipped: float = 0.0
    wanted: float = 0.0

    def join(self, other: "CodeMoves") -> None:
        """Add those of other rows."""
        self.whole += other.whole
        self.by_rest += other.by_rest
        self.clipped += other.clipped
        self.wanted += other.wanted

    def pack(self) -> bytes:
        """Return them as bytes, all their digits."""
        return np.concatenate(([self.whole, self.clipped, self.wanted], self.by_rest)).tobytes()

    @classmethod
    def unpack(cls, packed: bytes) -> "CodeMoves":
        """Return those that `pack` made bytes of."""
        (whole, clipped, wanted), by_rest = np.split(np.frombuffer(packed, np.float64), [3])
        return cls(float(whole), by_rest, float(clipped), float(wanted))

    @property
    def is_beyond(self) -> bool:
        """Return whether so much of the change is beyond the codes that the scales should change."""
        return self.clipped > MOST_CLIPPED * self.wanted

    def threshold(self) -> float:
        """Return the part of a step from which on a code moves by one more."""
        reached = self.whole + np.cumsum(self.by_rest[::-1])[::-1]  # for each bin: it and all above it move
        over = np.flatnonzero(reached < self.wanted)
        return max(float(over[0] if over.size else BINS), 1.0) / BINS  # what does not change never moves


def measure_moves(raw: Bytes, kind: int, change: Float32) -> CodeMoves:
    """Return what moving codes amounts to for some rows.

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
        threshold: that of `CodeMoves`, for the whole tensor.
    """
    steps, codes = code_steps(raw, kind), codes_of(raw, kind)
    whole, rest, room, upwards = _moves(steps, codes, kind, change)
    moves = np.minimum(whole + (rest >= threshold), room).astype(np.int16)
    np.negative(moves, out=moves, where=~upwards)
    return with_codes(raw, kind, codes + moves)


def _moves(
    steps: Float32, codes: Bytes, kind: int, change: Float32
) -> tuple[Float32, Float32, Float32, npt.NDArray[np.bool_]]:
    """Return the whole steps of a change, what is left of a step, the codes on its way, and whether up."""
    with np.errstate(divide="ignore", invalid="ignore"):
        count = change.reshape(-1, BLOCKS[kind][0]) / steps
    count[steps == 0] = 0  # nothing moves a weight whose block has the scale 0
    upwards = count > 0
    size = np.minimum(np.abs(count, out=count), np.float32(FARTHEST))
    whole = np.floor(size)
    room = np.where(upwards, np.float32(CODE_LAYOUTS[kind].largest) - codes, codes.astype(np.float32))
    return whole, size - whole, room, upwards
