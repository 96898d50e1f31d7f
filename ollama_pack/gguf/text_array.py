"""Reads an array of texts in a GGUF header: the tokens and merges, of which there are hundreds of thousands.

See "Short texts of a header are found all at once" in docs/decisions.md.
"""

import mmap
import struct

BLOCK = 1 << 18
"""Bytes of a header in which short texts are looked for at once."""

LENGTH_BYTES = 8

FEWEST, MOST = 16, 1 << 16
"""Fewest and most texts that are read one by one after a block with none that could be read at once."""


def read_texts(
    data: mmap.mmap, start: int, length: int, *, keep: bool, most: int
) -> tuple[tuple[str, ...], int, int]:
    """Return the texts of an array, where the array ends, and how many bytes of text were kept.

    The end lies behind the end of the file if the file is cut short. Reading stops when more than `most`
    bytes would be kept. In both cases no texts are returned.

    Args:
        data: the mapped file.
        start: where the length of the first text stands.
        length: the number of texts.
        keep: whether the texts are wanted; if not, none is returned.
        most: the number of bytes that are kept at most.
    """
    position, left, kept, one_by_one = start, length, 0, FEWEST
    parts: list[bytes] = []
    while left and position <= len(data) and kept <= most:
        count, size, part = _short_texts(data[position : position + BLOCK], left)
        if count:
            one_by_one = FEWEST
        else:
            count = min(one_by_one, left)
            one_by_one = min(one_by_one * 2, MOST)
            size, part = _any_texts(data, position, count, most if keep else 0)
        position, left = position + size, left - count
        if keep:
            kept += size - LENGTH_BYTES * count
            parts.append(part)
    if not keep or position > len(data) or kept > most:
        return (), position, kept
    texts = b"\0".join(parts).decode("utf-8", "replace").split("\0")
    if len(texts) != length:  # a text with a NUL inside
        return _texts_one_by_one(data, start, length), position, kept
    return tuple(texts), position, kept


def _short_texts(block: bytes, most: int) -> tuple[int, int, bytes]:
    """Return how many texts shorter than 256 bytes follow each other, their size in the block, and the texts.

    A text begins behind its length, whose upper seven bytes are zero. Each place with seven zeros is taken
    for the length of a text only if that text ends where the next such place begins. The last text is not
    counted, because no length follows it. A NUL stands between the texts.
    """
    import numpy as np

    raw = np.frombuffer(block, dtype=np.uint8)
    if raw.size <= LENGTH_BYTES:
        return 0, 0, b""
    zero = raw[1:] == 0
    two = zero[:-1] & zero[1:]
    four = two[:-2] & two[2:]
    places = np.flatnonzero(four[:-3] & four[3:])
    if not places.size or places[0] != 0:
        return 0, 0, b""
    follows = places[:-1] + LENGTH_BYTES + raw[places[:-1]] == places[1:]
    count = min(int(follows.size if follows.all() else follows.argmin()), most)
    size = int(places[count])
    wanted = np.ones(size, dtype=bool)
    for offset in range(LENGTH_BYTES - 1):  # the last byte of a length is the NUL between two texts
        wanted[places[:count] + offset] = False
    return count, size, raw[:size][wanted].tobytes()[1:]


def _any_texts(data: mmap.mmap, start: int, count: int, most: int) -> tuple[int, bytes]:
    """Return the size of some texts in the file, and up to `most` bytes of them with a NUL between them."""
    unpack, end = struct.Struct("<Q").unpack_from, len(data)
    position, kept = start, 0
    texts: list[bytes] = []
    for _ in range(count):
        if position + LENGTH_BYTES > end:
            position = end + 1
            break
        begin = position + LENGTH_BYTES
        position = begin + unpack(data, position)[0]
        kept += position - begin
        if position > end:
            break
        if kept <= most:
            texts.append(data[begin:position])
    return position - start, b"\0".join(texts)


def _texts_one_by_one(data: mmap.mmap, start: int, length: int) -> tuple[str, ...]:
    """Return the texts of an array that is known to lie in the file whole."""
    unpack = struct.Struct("<Q").unpack_from
    texts = []
    for _ in range(length):
        begin = start + LENGTH_BYTES
        start = begin + unpack(data, start)[0]
        texts.append(data[begin:start].decode("utf-8", "replace"))
    return tuple(texts)
