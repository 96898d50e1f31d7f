"""Makes GGUF files by hand, right ones and lying ones."""

import struct

VERSION = struct.pack("<I", 3)


def text(value: str | bytes) -> bytes:
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


def key(name: str, kind: int, raw: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + raw


def tensor(name: str, shape, kind: int = 0, offset: int = 0) -> bytes:
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
    return text(name) + dimensions + struct.pack("<IQ", kind, offset)


def array(kind: int, length: int, raw: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, length) + raw


def gguf(keys=(), tensors=(), data: bytes = b"", *, version: bytes = VERSION, counts=None) -> bytes:
    """Return a file; `counts` of tensors and of keys may be other than there are."""
    counts = counts or (len(tensors), len(keys))
    header = b"GGUF" + version + struct.pack("<QQ", *counts) + b"".join(keys) + b"".join(tensors)
    return header + (bytes(-len(header) % 32) + data if data else b"")
