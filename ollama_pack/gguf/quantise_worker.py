"""A process that quantises a whole GGUF file: ``quantise_worker.py LIBRARY FTYPE SOURCE TARGET``.

It needs the standard library only. On stdin comes an importance matrix, if there is one: for each tensor the
length of its name, the name, the number of its values, and the values as float32. What llama.cpp calls an
error goes to stderr.
"""

import ctypes
import struct
import sys

LENGTH, VALUE_COUNT = struct.Struct("<I"), struct.Struct("<Q")
_ERROR = 4


class ImportanceEntry(ctypes.Structure):
    """``llama_model_imatrix_data``."""

    _fields_ = (("name", ctypes.c_char_p), ("data", ctypes.c_void_p), ("size", ctypes.c_size_t))


class Settings(ctypes.Structure):
    """The beginning of ``llama_model_quantize_params``, and room for what follows it."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("threads", "ftype", "output_type", "embedding_type")),
        *((name, ctypes.c_bool) for name in ("requantise", "output", "copy", "pure", "split", "dry")),
        ("imatrix", ctypes.c_void_p),
        ("rest", ctypes.c_char * 512),
    )


def read_importance() -> list[tuple[bytes, bytes]]:
    """Return the name and the values of each tensor that stdin has."""
    content = sys.stdin.buffer.read()
    found, at = [], 0
    while at < len(content):
        (length,) = LENGTH.unpack_from(content, at)
        name = content[at + LENGTH.size :][:length]
        at += LENGTH.size + length
        (count,) = VALUE_COUNT.unpack_from(content, at)
        found.append((name, content[at + VALUE_COUNT.size :][: 4 * count]))
        at += VALUE_COUNT.size + 4 * count
    return found


def quantise(library: str, ftype: int, source: str, target: str) -> int:
    """Quantise a file, and return 0 if it was done.

    Raises:
        OSError: the library cannot be loaded.
        AttributeError: it does not have llama.cpp's function.
    """
    llama = ctypes.CDLL(library)
    report = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    said = report(lambda level, text, _: level == _ERROR and sys.stderr.buffer.write(text))
    llama.llama_log_set(said, None)
    llama.llama_backend_init()
    llama.llama_model_quantize_default_params.restype = Settings
    settings = llama.llama_model_quantize_default_params()
    settings.ftype, settings.requantise = ftype, True  # an F16 file may have tensors of Q8_0
    values = read_importance()
    if values:
        table = (ImportanceEntry * (len(values) + 1))()
        for entry, (name, data) in zip(table, values, strict=False):
            entry.name, entry.data = name, ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p)
            entry.size = len(data) // 4
        settings.imatrix = ctypes.cast(table, ctypes.c_void_p)
    llama.llama_model_quantize.restype = ctypes.c_uint32
    status: int = llama.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(settings))
    return status


if __name__ == "__main__":
    try:
        sys.exit(min(quantise(sys.argv[1], int(sys.argv[2]), *sys.argv[3:5]), 1))
    except (OSError, AttributeError) as error:
        sys.exit(str(error))
