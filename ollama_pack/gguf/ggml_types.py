"""The types of tensors that ggml knows: their numbers, and the elements and bytes of a block of each."""

import math
from collections.abc import Mapping

F32, F16, Q8_0, BF16 = 0, 1, 8, 30
Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K = 2, 3, 6, 7, 12, 13, 14
TENSOR_TYPES = {F32: "F32", F16: "F16", Q8_0: "Q8_0", BF16: "BF16"}
"""The ggml types LoRA tensors come in; a base may hold any."""

BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18),
}  # fmt: skip
"""ggml type → elements in a block, bytes of a block."""


NAMES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K",
    11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS",
    19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32",
    27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
    41: "Q1_0",
}  # fmt: skip
"""ggml type → its name, as ggml and ``/api/show`` spell it."""


def size_of_tensors(shapes: Mapping[str, tuple[int, ...]], types: Mapping[str, int]) -> int:
    """Return the bytes of all tensors whose ggml types are known."""
    return sum(nbytes_of(types[name], shape) for name, shape in shapes.items() if types.get(name) in BLOCKS)


def nbytes_of(kind: int, shape: tuple[int, ...]) -> int:
    """Return the size in bytes of a tensor of a ggml type in `BLOCKS`, without padding."""
    elements, nbytes = BLOCKS[kind]
    return math.prod(shape) // elements * nbytes
