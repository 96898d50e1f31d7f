"""PROVE  that a GGUF LoRA file gives PEFT's ΔW, for every weight.

The file is read again from disk. With s·B·A as PEFT has it and s'·B'·A' as
llama.cpp will have it, the difference

    s'·B'·A' − s·B·A  =  δB·A  +  s·B·δA  +  δB·δA     with δB = s'·B' − s·B and δA = A' − A

is measured by its Frobenius norm, relative to that of s·B·A. Neither ΔW nor the difference is ever
formed: ‖XY‖² is the sum of the elementwise product of the Gram matrices XᵀX and YYᵀ, rank × rank
both. The terms are joined by the triangle inequality, so the figure is an upper bound.

One wrong number hardly moves the norm of a large matrix. So every single number is compared as
well, and must be within the rounding of the file's type.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ollama_pack.arch.spec import Kind
from ollama_pack.arch.table import require_arch
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
    as_index,
    keep_freed_memory,
    to_float32,
)
from ollama_pack.gguf.tensors import StoredTensor
from ollama_pack.lora.adapter import Adapter
from ollama_pack.lora.fused_tensors import TensorSlot
from ollama_pack.lora.tensor_mapping import map_pairs_to_tensors
from ollama_pack.verify.result import ProofResult

LIMITS = {"F16": 2.0**-10, "F32": 2.0**-21, "BF16": 2.0**-7, "Q8_0": 2.0**-5}
"""Largest relative error of ΔW, for both factors rounded by half a unit in the last place."""

ROUNDING = {
    "F16": (2.0**-11, 2.0**-25),
    "F32": (2.0**-22, 2.0**-149),
    "BF16": (2.0**-8, 2.0**-133),
    "Q8_0": (0.5 / 127 + 2.0**-11, 127 * 2.0**-25),
}
"""Largest error of one number: relative to it, and absolute below the normal range. For F32 it
allows one rounding of a folded scale and one of its product; for Q8_0 it is relative to the largest
number of its block, and allows the rounding of the block's scale to float16."""


COMPARE_WORKERS = 2
"""Threads that compare: while the file is hashed one of them finds a core, afterwards both do."""


@dataclass(frozen=True, slots=True)
class TensorError:
    """How far one weight's ΔW in the file is from PEFT's.

    Attributes:
        tensor: the GGUF name of the weight.
        relative: upper bound of the relative Frobenius norm of the difference.
        element: the worst single number of A or B, in units of what rounding allows.
        dtype: of the factors in the file.
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

    Raises:
        InputError: one of the files is damaged.
        ProofError: the file has other weights than the adapter, or other shapes.
    """
    keep_freed_memory()
    written = read_gguf(path)
    arch = require_arch(base.hparams.arch)
    places = map_pairs_to_tensors(adapter, base, arch)
    _check_header(written, arch.name, adapter, len(places))
    with ThreadPoolExecutor(COMPARE_WORKERS, "numbers") as pool:
        return _report(list(pool.map(lambda place: _compare(place, written), places)))


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
        )
    return report


def _check_header(written: GgufFile, arch: str, adapter: Adapter, weights: int) -> None:
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


def _compare(place: TensorSlot, written: GgufFile) -> TensorError:
    stored_a, stored_b = _stored(place, written)
    with TensorReader() as source:
        a, b = source.float32(place.a), source.float32(place.pair.b)
        if place.rows is not None:
            b = b[..., as_index(place.rows), :]
        found_a, found_b = source.read_raw(stored_a)[0], source.read_raw(stored_b)[0]
    scale = _file_scale(written, stored_b.shape[-1])
    if place.pair.scale == 0.0:
        b, ratio = np.zeros_like(b), 1.0
    else:
        ratio = scale / place.pair.scale
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite becomes the figure
        embedding = place.kind is Kind.EMBEDDING
        delta_a, element_a = _deviation(a, _Found(found_a, stored_a.dtype), axis=0 if embedding else 1)
        delta_b, element_b = _deviation(b, _Found(found_b, stored_b.dtype, ratio), axis=0)
        if embedding:
            a, delta_a = a.T, delta_a.T
        relative = _relative(a, b, delta_a, delta_b) if delta_a.size or delta_b.size else 0.0
    element = max(element_a, element_b)
    coarser = max(stored_a.dtype, stored_b.dtype, key=LIMITS.__getitem__)
    return TensorError(place.tensor, _nan_is_worst(relative), _nan_is_worst(element), coarser)


def _stored(place: TensorSlot, written: GgufFile) -> tuple[StoredTensor, StoredTensor]:
    """Return A and B of a weight in the file.

    Raises:
        ProofError: one is missing, or has another shape.
    """
    for side in ("lora_a", "lora_b"):
        if f"{place.tensor}.{side}" not in written.shapes:
            raise ProofError(
                f"There is no {side} of {place.pair.module}.", where=f"{written.path.name}: {place.tensor}"
            )
    stored_a, stored_b = (written.stored(f"{place.tensor}.{side}") for side in ("lora_a", "lora_b"))
    shape = place.pair.b.shape
    wanted_b = shape if place.rows is None else (*shape[:-2], len(place.rows), shape[-1])
    if (stored_a.shape, stored_b.shape) != (place.a.shape, wanted_b):
        raise ProofError(
            f"A is {stored_a.shape}, B {stored_b.shape}; the adapter has {place.a.shape} and {wanted_b}.",
            where=f"{written.path.name}: {place.tensor}",
        )
    return stored_a, stored_b


@dataclass(frozen=True, slots=True)
class _Found:
    """A or B as the file has it, and what makes its scale PEFT's."""

    stored: Stored
    dtype: str
    ratio: float = 1.0

    def numbers(self, part: Stored) -> Float32:
        wide = to_float32(part, self.dtype)
        return wide if self.ratio == 1.0 else wide * np.float32(self.ratio)


def _deviation(exact: Float32, found: _Found, *, axis: int) -> tuple[Float32, float]:
    """Return found − exact, and its worst number in units of what rounding allows.

    Rows (axis 0) or columns (axis 1) that do not differ are left out where most do not: bfloat16
    fits float16 but for small numbers, and what is zero adds nothing to a Gram matrix.
    """
    relative, absolute = ROUNDING[found.dtype]
    rounding = (relative, absolute * abs(found.ratio))
    if exact.ndim != 2 or found.dtype == "Q8_0":
        delta = found.numbers(found.stored) - exact
        return delta, _worst_element(delta, _block_largest(exact, found.dtype), rounding)
    wanted, stored = exact.reshape(-1), found.stored.reshape(-1)
    changed = np.concatenate(
        [
            start
            + np.flatnonzero(
                found.numbers(stored[start : start + CHUNK_ELEMENTS])
                != wanted[start : start + CHUNK_ELEMENTS]
            )
            for start in range(0, stored.size, CHUNK_ELEMENTS)
        ]
    )
    if changed.size * 16 > exact.size:
        delta = found.numbers(found.stored) - exact
        return delta, _worst_element(delta, exact, rounding)
    lines = np.zeros(exact.shape[axis], np.bool_)
    lines[changed // exact.shape[1] if axis == 0 else changed % exact.shape[1]] = True
    delta = found.numbers(found.stored.compress(lines, axis)) - exact.compress(lines, axis)
    few = found.numbers(stored[changed]) - wanted[changed]
    return delta, _worst_element(few, wanted[changed], rounding)


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
    return float("inf") if np.isnan(value) else value


def _report(differences: list[TensorError]) -> ProofResult:
    worst = max(differences, key=lambda difference: difference.share_of_limit)
    limit = LIMITS[worst.dtype]
    passed = worst.share_of_limit <= 1.0
    figure = max(difference.relative for difference in differences)
    if passed:
        summary = (
            f"{len(differences)} weights: ΔW within {figure:.1e} of PEFT's (limit {limit:.1e}), "
            "every number within rounding"
        )
    elif worst.relative > limit:
        summary = f"ΔW of {worst.tensor} is off by {worst.relative:.1e} (limit {limit:.1e})"
    else:
        summary = f"A number of {worst.tensor} is off by {worst.element:.3g} times what rounding allows"
    return ProofResult("numbers", passed, figure, limit, summary, worst.tensor)
