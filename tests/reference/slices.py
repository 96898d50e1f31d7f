"""Cut a recorded base down to two rows or columns a weight, where its class has one size only, a large one.

The order of rows is seen in two columns, that of columns in two rows.
"""

from pathlib import Path

import gguf
import numpy as np

KEPT = 2


def cut(weight: np.ndarray, *, rows: bool) -> np.ndarray:
    """Return the first rows of a weight, or its first columns."""
    return weight[:KEPT] if rows else weight[:, :KEPT]


def cut_gguf(path: Path, moved_columns: str) -> None:
    """Write a model again with slices of its weights.

    Args:
        path: the file, which is replaced.
        moved_columns: what stands in the names of the tensors whose columns were moved.
    """
    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(path.with_suffix(".cut"), reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            kind, *more = field.types
            writer.add_key_value(name, field.contents(), kind, more[-1] if more else None)
    for tensor in reader.tensors:
        weight = np.array(tensor.data)
        if weight.ndim > 1:
            weight = cut(weight, rows=moved_columns in tensor.name)
        writer.add_tensor(tensor.name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    path.with_suffix(".cut").replace(path)
