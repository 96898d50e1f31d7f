"""Cut a recorded base down to one row or column a weight, where its class has one size only, a large one.

The order of rows is seen in one column, that of columns in one row.
"""

from pathlib import Path

import numpy as np
from rewriting import Tensors, rewrite

KEPT = 1


def cut(weight: np.ndarray, *, rows: bool) -> np.ndarray:
    """Return the first rows of a weight, or its first columns."""
    return weight[:KEPT] if rows else weight[:, :KEPT]


def cut_gguf(path: Path, moved_columns: str) -> None:
    """Write a model again with slices of its weights.

    Args:
        path: the file, which is replaced.
        moved_columns: what stands in the names of the tensors whose columns were moved.
    """

    def slices(tensors: Tensors) -> Tensors:
        return {
            name: weight if weight.ndim == 1 else cut(weight, rows=moved_columns in name)
            for name, weight in tensors.items()
        }

    rewrite(path, path.with_suffix(".cut"), slices).replace(path)
