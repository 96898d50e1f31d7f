"""How much of ΔW merged files of different sizes keep."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SizeFrontier:
    """How much of ΔW files of different sizes keep.

    Attributes:
        points: for each file, its size in bytes and ‖what all its weights gain − ΔW‖ / ‖ΔW‖, measured on
            some of their rows; the smallest file comes first.
        chosen: the index of the point of the file that is written.
        types: the ggml type of each weight that changes, by its name.
    """

    points: tuple[tuple[int, float], ...]
    chosen: int
    types: Mapping[str, int]
