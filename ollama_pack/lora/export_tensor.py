"""Makes the numbers of one tensor of a GGUF LoRA file: row order, factor, cast, and a check for NaN."""

import numpy as np

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.gguf.quants import bf16_to_f16, cast_float32
from ollama_pack.gguf.tensor_data import Float32, Stored, TensorReader, all_finite, as_index, to_float32
from ollama_pack.lora.plan import LoraTensor

LARGEST_OF_TYPE = {
    "f16": 65504.0,
    "f32": 2.0**128 - 2.0**104,
    "bf16": 2.0**128 - 2.0**120,
    "q8_0": 127 * 65504.0,
}
"""The largest number of each type."""


def cast_tensor(weights: TensorReader, tensor: LoraTensor, kind: str) -> Stored:
    """Return a tensor as it stands in the file, contiguous, as ``f16``, ``f32``, ``bf16`` or ``q8_0``.

    Raises:
        InputError: a weight is NaN or infinite, or the file ends inside the tensor.
        UnsupportedError: a weight is too large for the type.
    """
    stored, dtype = weights.read_raw(tensor.source)
    if tensor.rows is not None:
        stored = stored[..., as_index(tensor.rows), :]
    if tensor.factor == 1.0 and dtype == "BF16" and kind == "f16":
        cast: Stored = bf16_to_f16(stored.view(np.uint16))
    elif tensor.factor == 1.0 and dtype.lower() == kind:
        cast = stored
    else:
        numbers = to_float32(stored, dtype)
        with np.errstate(over="ignore", invalid="ignore"):  # looked for below, and reported by name
            if tensor.factor != 1.0:
                numbers = numbers * np.float32(tensor.factor)
            cast = cast_float32(numbers, kind)
    if not all_finite(cast["scale"].copy() if kind == "q8_0" else cast):
        raise _why_not_finite(to_float32(stored, dtype), tensor, kind)
    return np.ascontiguousarray(cast)


def planned_numbers(weights: TensorReader, tensor: LoraTensor) -> Float32:
    """Return the numbers of a planned tensor in float32: its rows in their order, times its factor.

    What is beyond float32 becomes infinite; whoever writes the numbers looks for that.

    Raises:
        InputError: the adapter cannot be read, or ends inside the tensor.
    """
    numbers = weights.float32(tensor.source)
    if tensor.rows is not None:
        numbers = numbers[..., as_index(tensor.rows), :]
    if tensor.factor == 1.0:
        return numbers
    with np.errstate(over="ignore"):
        return numbers * np.float32(tensor.factor)


def _why_not_finite(numbers: Float32, tensor: LoraTensor, kind: str) -> InputError | UnsupportedError:
    """Return the error for a tensor that is not finite: it never was, or it is too large for its type."""
    where = f"{tensor.source.path}: {tensor.source.name}"
    bad = numbers.size - int(np.isfinite(numbers).sum())
    if bad:
        return InputError(
            f"{bad} of {numbers.size} weights are NaN or infinite: the training diverged.",
            where=where,
            hint="build an earlier checkpoint, from before the loss became NaN",
            code="not-finite",
        )
    largest = float(np.abs(numbers).max()) * abs(tensor.factor)
    return UnsupportedError(
        f"A weight of {largest:g} is too large for {kind}, which ends at {LARGEST_OF_TYPE[kind]:g}.",
        where=where,
        hint="lora_alpha in adapter_config.json, or alpha_pattern" if kind == "f32" else "--outtype f32",
        code="too-large",
    )
