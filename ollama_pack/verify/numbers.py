"""Prove that a GGUF LoRA file gives PEFT's ΔW, for every weight.

The file is read again from disk. What it must hold is made from the adapter by `reference`, which states
llama.cpp's layout by itself: this proof shares no code with the mapping, so an error there shows here.

The file has s'·B'·A', where s' is what llama.cpp multiplies with. The reference has A and B for the same s':
s'·B·A is PEFT's ΔW in llama.cpp's layout. The difference

    B'·A' − B·A  =  δB·A  +  B·δA  +  δB·δA     with δB = B' − B and δA = A' − A

is measured by its Frobenius norm, relative to that of B·A. Neither ΔW nor the difference is ever
formed: ‖XY‖² is the sum of the elementwise product of the Gram matrices XᵀX and YYᵀ, rank × rank
both. The terms are joined by the triangle inequality, so the figure is an upper bound.

One wrong number hardly moves the norm of a large matrix. So every single number is compared as
well, and must be within the rounding of the file's type.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ollama_pack.base.model import BaseModel
from ollama_pack.errors import ProofError
from ollama_pack.gguf.constants import ALPHA, INVOCATION_TOKENS
from ollama_pack.gguf.reader import GgufFile, read_gguf
from ollama_pack.gguf.tensor_data import (
    CHUNK_ELEMENTS,
    Q8_BLOCK,
    Float32,
    Stored,
    TensorReader,
    keep_freed_memory,
    to_float32,
)
from ollama_pack.gguf.tensors import StoredTensor
from ollama_pack.lora.adapter import Adapter
from ollama_pack.verify.reference import Reference, find_references
from ollama_pack.verify.result import ProofResult

LIMITS = {"F16": 2.0**-10, "F32": 2.0**-21, "BF16": 2.0**-7, "Q8_0": 2.0**-5}
"""Largest relative error of ΔW, for both factors rounded by half a unit in the last place."""

ROUNDING = {
    "F16": (2.0**-11, 2.0**-25),
    "F32": (2.0**-21, 2.0**-149),
    "BF16": (2.0**-8, 2.0**-133),
    "Q8_0": (0.5 / 127 + 2.0**-11, 127 * 2.0**-25),
}
"""Largest error of one number: relative to it, and absolute below the normal range. For F32 it
allows seven roundings: those of a stack's scale, of the numbers of config.json and of the file's alpha,
each with its product, and one of ours. For Q8_0 it is relative to the largest number of its block, and
allows the rounding of the block's scale to float16."""


COMPARE_WORKERS = 2
"""Threads that compare: while the file is hashed one of them finds a core, afterwards both do."""

SMALL_BYTES = 1 << 17
"""Bytes of a tensor below which two threads wait for each other's Python more than they compute."""


class TensorError(NamedTuple):
    """How far one weight's ΔW in the file is from PEFT's.

    Attributes:
        tensor: the GGUF name of the weight.
        relative: upper bound of the relative Frobenius norm of the difference.
        element: the worst single number of A or B, in units of what rounding allows.
        dtype: the type of the factors in the file.
    """

    tensor: str
    relative: float
    element: float
    dtype: str

    @property
    def share_of_limit(self) -> float:
        """Return how much of what is allowed is used; above 1 the proof fails."""
        return max(self.relative / LIMITS[self.dtype], self.element)


def prove_numbers(adapter: Adapter, base: BaseModel, path: Path) -> ProofResult:
    """Return how well a GGUF LoRA file gives the ΔW of an adapter, at its worst weight.

    Args:
        adapter: the adapter as it was read.
        base: the base that the file was made for, with the sizes that the conversion used.
        path: the file.

    Raises:
        InputError: one of the files is damaged.
        ProofError: the file has other weights than the adapter, or other shapes.
    """
    keep_freed_memory()
    written = read_gguf(path)
    references = find_references(adapter, base)
    _check_header(written, base.hparams.arch, adapter, len(references))
    workers = _workers(path.stat().st_size, adapter)
    # Each thread opens the files once. It takes every n-th tensor, so that all get large and small ones.
    shares = [references[first::workers] for first in range(workers)]
    with ThreadPoolExecutor(workers, "numbers") as pool:
        errors = [error for share in pool.map(partial(_compare_all, written), shares) for error in share]
    differing = sum(reference.differs for reference in references)
    return _report(errors, base.hparams.arch, differing)


def _workers(size: int, adapter: Adapter) -> int:
    """Return how many threads compare the tensors of an adapter soonest, in a file of `size` bytes."""
    return COMPARE_WORKERS if size >= 2 * len(adapter.pairs) * SMALL_BYTES else 1


def require_passed(report: ProofResult, path: Path) -> ProofResult:
    """Return a report that passed.

    Raises:
        ProofError: it did not.
    """
    if not report.passed:
        raise ProofError(
            report.summary,
            where=f"{path.name}: {report.worst}",
            hint="--outtype f32, if f16 was too coarse; else report it",
            code="numbers",
        )
    return report


def _check_header(written: GgufFile, arch: str, adapter: Adapter, weights: int) -> None:
    """Require that a file says of itself what a LoRA file for this architecture must."""
    for key, wanted in (
        ("general.type", "adapter"),
        ("adapter.type", "lora"),
        ("general.architecture", arch),
    ):
        if written.text(key) != wanted:
            raise ProofError(
                f"{key} is {written.text(key)!r}, not {wanted!r}.", where=f"{written.path.name}: {key}"
            )
    invocation = written.metadata.get(INVOCATION_TOKENS, ())
    if invocation != adapter.invocation:
        raise ProofError(
            f"The invocation tokens are {invocation!r:.80}, not {adapter.invocation!r:.80}.",
            where=f"{written.path.name}: {INVOCATION_TOKENS}",
        )
    if len(written.shapes) != 2 * weights:
        raise ProofError(
            f"The file has {len(written.shapes)} tensors, the adapter {2 * weights}.",
            where=written.path.name,
        )


def _compare_all(written: GgufFile, references: Sequence[Reference]) -> list[TensorError]:
    """Return the error of each tensor, with every file opened once."""
    with TensorReader() as source:
        return [_compare(reference, written, source) for reference in references]


def _compare(reference: Reference, written: GgufFile, source: TensorReader) -> TensorError:
    """Return how far one tensor of the file is from what the adapter asks for."""
    stored_a, stored_b = _stored(reference, written)
    a, b = reference.factors(source, _file_scale(written, stored_b.shape[-1]))
    if (stored_a.shape, stored_b.shape) != (a.shape, b.shape):
        raise ProofError(
            f"A and B are {stored_a.shape} and {stored_b.shape}, but {a.shape} and {b.shape} in the adapter.",
            where=f"{written.path.name}: {reference.tensor}",
        )
    found_a, found_b = source.read_raw(stored_a)[0], source.read_raw(stored_b)[0]
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite becomes the figure
        axis = 0 if reference.is_embedding else 1
        delta_a, element_a = _deviation(a, found_a, stored_a.dtype, axis=axis)
        delta_b, element_b = _deviation(b, found_b, stored_b.dtype, axis=0)
        if reference.is_embedding:
            a, delta_a = a.T, delta_a.T
        relative = _relative(a, b, delta_a, delta_b) if delta_a.size or delta_b.size else 0.0
    element = max(element_a, element_b)
    coarser = max(stored_a.dtype, stored_b.dtype, key=LIMITS.__getitem__)
    return TensorError(reference.tensor, _nan_is_worst(relative), _nan_is_worst(element), coarser)


def _stored(reference: Reference, written: GgufFile) -> tuple[StoredTensor, StoredTensor]:
    """Return A and B of a weight in the file.

    Raises:
        ProofError: one of them is missing.
    """
    for side in ("lora_a", "lora_b"):
        if f"{reference.tensor}.{side}" not in written.shapes:
            raise ProofError(
                f"The file has no {side} of {reference.shares[0].pair.module}.",
                where=f"{written.path.name}: {reference.tensor}",
            )
    return written.stored(f"{reference.tensor}.lora_a"), written.stored(f"{reference.tensor}.lora_b")


def _deviation(exact: Float32, found: Stored, dtype: str, *, axis: int) -> tuple[Float32, float]:
    """Return found − exact, and its worst number in units of what rounding allows.

    Rows (axis 0) or columns (axis 1) that do not differ are left out where most do not: bfloat16
    fits float16 but for small numbers, and what is zero adds nothing to a Gram matrix.
    """
    if exact.ndim != 2 or dtype == "Q8_0":
        delta = to_float32(found, dtype) - exact
        return delta, _worst_element(delta, _block_largest(exact, dtype), ROUNDING[dtype])
    wanted, stored = exact.reshape(-1), found.reshape(-1)
    changed = np.concatenate(
        [
            start
            + np.flatnonzero(
                to_float32(stored[start : start + CHUNK_ELEMENTS], dtype)
                != wanted[start : start + CHUNK_ELEMENTS]
            )
            for start in range(0, stored.size, CHUNK_ELEMENTS)
        ]
    )
    if changed.size * 16 > exact.size:
        delta = to_float32(found, dtype) - exact
        return delta, _worst_element(delta, exact, ROUNDING[dtype])
    lines = np.zeros(exact.shape[axis], np.bool_)
    lines[changed // exact.shape[1] if axis == 0 else changed % exact.shape[1]] = True
    delta = to_float32(found.compress(lines, axis), dtype) - exact.compress(lines, axis)
    few = to_float32(stored[changed], dtype) - wanted[changed]
    return delta, _worst_element(few, wanted[changed], ROUNDING[dtype])


def _block_largest(exact: Float32, dtype: str) -> Float32:
    """Return for each number what its rounding is relative to."""
    if dtype != "Q8_0":
        return exact
    blocks = np.abs(exact).reshape(-1, Q8_BLOCK)
    return np.repeat(blocks.max(axis=1), Q8_BLOCK).reshape(exact.shape)


def _relative(a: Float32, b: Float32, delta_a: Float32, delta_b: Float32) -> float:
    """Return the bound of ‖δ‖ / ‖ΔW‖, over all matrices where there is one an expert."""
    gram_a, gram_delta_a = (side @ side.swapaxes(-1, -2) for side in (a, delta_a))
    gram_b, gram_delta_b = (side.swapaxes(-1, -2) @ side for side in (b, delta_b))
    norm = _product_norm(gram_b, gram_a)
    error = _product_norm(gram_delta_b, gram_a) + _product_norm(gram_b, gram_delta_a)
    error += _product_norm(gram_delta_b, gram_delta_a)
    return error / norm if norm else (0.0 if error == 0.0 else float("inf"))


def _file_scale(written: GgufFile, rank: int) -> float:
    """Return what llama.cpp multiplies with: alpha / rank, or 1 where alpha is 0 or missing."""
    alpha = written.metadata.get(ALPHA, 0.0)
    return float(alpha) / rank if isinstance(alpha, float) and alpha else 1.0


def _product_norm(left: Float32, right: Float32) -> float:
    """Return ‖XY‖ from XᵀX and YYᵀ."""
    return math.sqrt(max(float(np.vdot(left.astype(np.float64), right.astype(np.float64))), 0.0))


def _worst_element(delta: Float32, exact: Float32, rounding: tuple[float, float]) -> float:
    """Return the largest |delta| / (relative · |exact| + absolute)."""
    relative, absolute = rounding
    allowed = np.abs(exact)
    allowed *= np.float32(relative)
    allowed += np.float32(max(absolute, 2.0**-126))
    np.divide(delta, allowed, out=allowed)
    np.abs(allowed, out=allowed)
    return float(allowed.max(initial=0.0))


def _nan_is_worst(value: float) -> float:
    """Return an error for comparison: a NaN is larger than every number."""
    return float("inf") if np.isnan(value) else value


def _report(errors: list[TensorError], arch: str, differing: int) -> ProofResult:
    """Return the result of all weights, so many of which llama.cpp holds otherwise than Hugging Face."""
    worst = max(errors, key=lambda error: error.share_of_limit)
    limit = LIMITS[worst.dtype]
    passed = worst.share_of_limit <= 1.0
    figure = max(error.relative for error in errors)
    if passed:
        unlike = f" ({differing} unlike Hugging Face's)" if differing else ""
        summary = (
            f"{len(errors)} weights: the file's ΔW against PEFT's in llama.cpp's layout of {arch}{unlike}: "
            f"within {figure:.1e} (limit {limit:.1e}), every number within rounding"
        )
    elif worst.relative > limit:
        summary = f"ΔW of {worst.tensor} is off by {worst.relative:.1e} (limit {limit:.1e})"
    else:
        summary = f"A number of {worst.tensor} is off by {worst.element:.3g} times what rounding allows"
    return ProofResult("numbers", passed, figure, limit, summary, worst.tensor)
