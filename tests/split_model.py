"""Writes a GGUF model in parts, by gguf's own writer."""

from pathlib import Path

import gguf


def write_parts(model: Path, folder: Path) -> list[Path]:
    """Split a model into parts of six tensors, and return them."""
    reader = gguf.GGUFReader(model)
    writer = gguf.GGUFWriter(folder / "tiny.gguf", "llama", split_max_tensors=6)
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            kind, *inner = field.types
            writer.add_key_value(key, field.contents(), kind, inner[0] if inner else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = sorted(folder.glob("tiny-*-of-*.gguf"))
    assert len(found) > 2
    return found
