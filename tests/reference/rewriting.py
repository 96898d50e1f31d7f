"""Write a GGUF model again: with other tensors, or as another architecture."""

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np

Tensors = dict[str, np.ndarray]


def rewrite(source: Path, target: Path, tensors: Callable[[Tensors], Tensors], arch: str = "") -> Path:
    """Write a model again.

    Args:
        source: the model.
        target: the file to write.
        tensors: makes the tensors from those of the model.
        arch: its architecture from now on, in its keys too; empty where it stays.
    """
    reader = gguf.GGUFReader(source)
    own = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, arch or own)
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            kind, *more = field.types
            key = f"{arch}{name.removeprefix(own)}" if arch and name.startswith(f"{own}.") else name
            writer.add_key_value(key, field.contents(), kind, more[-1] if more else None)
    for name, numbers in tensors({tensor.name: np.array(tensor.data) for tensor in reader.tensors}).items():
        writer.add_tensor(name, numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target
