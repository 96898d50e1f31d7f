"""A process that quantises rows by llama.cpp's own code: ``ggml_worker.py LIBRARY``, run by `ggml_blocks`.

It needs the standard library only. Each request is a ggml type, rows and columns, then the float32 numbers;
each answer is a number of bytes, then the bytes. It ends when nothing more comes.
"""

import ctypes
import struct
import sys

REQUEST, ANSWER = struct.Struct("<iqq"), struct.Struct("<q")


def serve(library: str) -> None:
    """Answer requests until there are none.

    Raises:
        OSError: the library cannot be loaded.
        AttributeError: it does not have ggml's function.
    """
    quantise = ctypes.CDLL(library).ggml_quantize_chunk
    quantise.restype = ctypes.c_size_t
    quantise.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    while head := sys.stdin.buffer.read(REQUEST.size):
        kind, rows, columns = REQUEST.unpack(head)
        numbers = bytearray(sys.stdin.buffer.read(rows * columns * 4))
        source = (ctypes.c_char * len(numbers)).from_buffer(numbers)
        room = ctypes.create_string_buffer(len(numbers) + 4096)
        size = quantise(kind, source, room, 0, rows, columns, None)
        sys.stdout.buffer.write(ANSWER.pack(size) + room.raw[:size])
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        serve(sys.argv[1])
    except (OSError, AttributeError) as error:
        sys.exit(str(error))
