"""Chooses the type of each tensor of a GGUF LoRA file, and computes how many bytes it then has."""

from collections.abc import Iterable

import numpy as np

from ollama_pack.gguf.ggml_types import BF16, BLOCKS, F16, F32, Q8_0, nbytes_of
from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.lora.export_tensor import planned_numbers
from ollama_pack.lora.plan import LoraPlan, LoraTensor

OUTTYPE_NUMBERS = {"f16": F16, "f32": F32, "bf16": BF16, "q8_0": Q8_0}
"""The number that ggml has for each type."""

AUTO_OUTTYPE = "auto"
FALLBACK_OUTTYPE = "f16"
"""The type of a tensor whose rows cannot be cut into blocks of Q8_0, as in llama.cpp's converter."""


def choose_types(plan: LoraPlan, outtype: str) -> tuple[str, ...]:
    """Return the type of each tensor of a plan, in its order.

    ``auto`` takes for each tensor the first of f16, bf16, f32 that holds all its numbers exactly; it
    reads them for that. With ``q8_0``, a tensor becomes f16 if the length of its rows is not a multiple of
    32.

    Raises:
        InputError: the weights cannot be read.
    """
    if outtype == AUTO_OUTTYPE:
        with TensorReader() as weights:
            return tuple(_smallest_exact(weights, tensor) for tensor in plan.tensors)
    if outtype == "q8_0":
        block = BLOCKS[Q8_0][0]
        return tuple(FALLBACK_OUTTYPE if tensor.shape[-1] % block else outtype for tensor in plan.tensors)
    return (outtype,) * len(plan.tensors)


def size_in_bytes(shape: tuple[int, ...], kind: str) -> int:
    """Return how many bytes a tensor of a type has, without padding."""
    return nbytes_of(OUTTYPE_NUMBERS[kind], shape)


def join_types(kinds: Iterable[str]) -> str:
    """Return types as one text, each once: ``bf16/f16``."""
    return "/".join(sorted(set(kinds)))


def _smallest_exact(weights: TensorReader, tensor: LoraTensor) -> str:
    """Return the first of f16, bf16 and f32 that holds all numbers of a tensor exactly."""
    numbers = planned_numbers(weights, tensor)
    with np.errstate(over="ignore", invalid="ignore"):
        if np.array_equal(numbers.astype(np.float16), numbers):
            return "f16"
    lower_half = numbers.view(np.uint32) & np.uint32(0xFFFF)
    return "f32" if lower_half.any() else "bf16"
