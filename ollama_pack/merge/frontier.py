"""What merged files of different sizes keep of a change."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SizeFrontier:
    """What files of different sizes keep of ΔW.

    Attributes:
        points: the size of a file in bytes, and how far all that its weights gain is from ΔW, relative to ΔW,
            as it was measured on some of their rows; smallest file first.
        chosen: which of the points the file is.
        types: the ggml type of each weight that changes, by its name.
    """

    points: tuple[tuple[int, float], ...]
    chosen: int
    types: Mapping[str, int]
