"""Chooses a type for each tensor that changes, so that a merged file within a size keeps the most of ΔW.

The error of each type is measured on some rows of each tensor: ‖what the tensor gains − ΔW‖². All tensors
begin with their smallest type. Of all steps to a larger type, those that reduce the error most for each byte
are taken first, and a step that does not fit is skipped. On the convex hull of each tensor's types this
choice is optimal, except for the bytes that remain unused at the end.
"""

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from io import FileIO
from itertools import pairwise

import numpy as np

from ollama_pack.disk.files import megabytes
from ollama_pack.errors import InputError, UsageError
from ollama_pack.gguf.blocks import can_write_blocks, read_blocks
from ollama_pack.gguf.code_layouts import CODE_LAYOUTS
from ollama_pack.gguf.ggml_blocks import BlockWriter, needs_ggml
from ollama_pack.gguf.ggml_library import has_ggml
from ollama_pack.gguf.ggml_types import BLOCKS, F16, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0
from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.merge.frontier import SizeFrontier
from ollama_pack.merge.plan import MergedTensor, MergePlan
from ollama_pack.merge.rounding import rounding_from
from ollama_pack.merge.rows import RowBlock, load_factors, merged_numbers, row_width
from ollama_pack.merge.threshold import CodeMoves, measure_moves

LARGER_TYPES = (Q5_0, Q5_1, Q5_K, Q6_K, Q8_0, F16)
"""The ggml types that are considered beside that of the base."""

SAMPLE_NUMBERS, SAMPLES, MEASURED_AT_ONCE = 1 << 15, 4, 2
"""How much is measured: the numbers in a piece, the pieces of a tensor, and the tensors at a time."""

MOST_POINTS = 8
"""The largest number of points of a frontier that are shown, besides the chosen one."""


@dataclass(frozen=True, slots=True)
class TypeCost:
    """The size and the error of a tensor in one type.

    Attributes:
        kind: the ggml type.
        nbytes: the size of the tensor in it.
        error: ‖what the tensor gains − ΔW‖², for the whole tensor.
        gain: the part of what the tensor gains that is along ΔW, relative to ΔW; 1 means that all is kept.
    """

    kind: int
    nbytes: int
    error: float
    gain: float


def spend_size(plan: MergePlan, rest: int, size: int, least: float) -> SizeFrontier:
    """Return the types with which a merged file of at most `size` bytes keeps the most of ΔW.

    Args:
        plan: the plan of the file, in any types.
        rest: the bytes of the file beside the tensors that change.
        size: the largest size that the file may have.
        least: the smallest gain that a type may have; it is ignored for a tensor for which no type reaches
            it.

    Raises:
        UsageError: even the smallest file is larger than `size`.
    """
    with BlockWriter() as blocks, ThreadPoolExecutor(MEASURED_AT_ONCE, "measure") as pool:
        measured = list(pool.map(partial(_measure_types, least=least, blocks=blocks), plan.touched))
    hulls = [_hull(costs) for costs, _ in measured]
    wanted = sum(each for _, each in measured) or 1.0
    smallest = Spending(rest + sum(hull[0].nbytes for hull in hulls), sum(hull[0].error for hull in hulls))
    total = smallest.nbytes
    if total > size:
        enough = f"{-(-total // 1000)}kB" if total < 10**7 else f"{-(-total // 10**5) / 10:g}MB"
        raise UsageError(
            f"No merged file of {megabytes(size)} keeps the change; the smallest has {megabytes(total)}.",
            hint=f"--merge-size {enough}",
            code="too-small",
        )
    every = list(spendings(hulls, smallest, math.inf))
    (*_, best) = spendings(hulls, smallest, size)
    types = {
        tensor.name or tensor.base.name: hull[best.steps.get(place, 0)].kind
        for place, (tensor, hull) in enumerate(zip(plan.touched, hulls, strict=True))
    }
    told = [(each.nbytes, float(np.sqrt(max(each.error, 0) / wanted))) for each in every]
    shown = {told[place] for place in np.linspace(0, len(told) - 1, min(len(told), MOST_POINTS)).astype(int)}
    mine = best.nbytes, float(np.sqrt(max(best.error, 0) / wanted))
    points = sorted({*shown, mine}, key=lambda point: (point[0], -point[1]))
    return SizeFrontier(tuple(points), points.index(mine), types)


@dataclass(frozen=True, slots=True)
class Spending:
    """A choice of a type for each weight: the size of its file, and its error.

    Attributes:
        nbytes: the size of the file.
        error: ‖what the weights gain − ΔW‖², of all of them.
        steps: index of a weight → the number of steps to a larger type that were taken, if there were any.
    """

    nbytes: int
    error: float
    steps: Mapping[int, int] = field(default_factory=dict)


def spendings(hulls: Sequence[Sequence[TypeCost]], smallest: Spending, size: float) -> Iterator[Spending]:
    """Yield the files that steps to larger types lead to, the best step for each byte first.

    A step that no longer fits is skipped, with the later steps of its weight; smaller steps of other weights
    may still fit.

    Args:
        hulls: for each weight, the types that are worth their bytes, the smallest first.
        smallest: the file in which each weight has its smallest type.
        size: the size that no file exceeds.
    """
    nbytes, error, steps = smallest.nbytes, smallest.error, dict(smallest.steps)
    left_out: set[int] = set()
    yield smallest
    for place, saved in _steps(hulls):
        step = steps.get(place, 0) + 1
        larger = hulls[place][step].nbytes - hulls[place][step - 1].nbytes
        if place in left_out or nbytes + larger > size:
            left_out.add(place)
            continue
        nbytes, error = nbytes + larger, error - saved
        steps = {**steps, place: step}
        yield Spending(nbytes, error, steps)


def _steps(hulls: Sequence[Sequence[TypeCost]]) -> list[tuple[int, float]]:
    """Return all steps to a larger type: which tensor, and what it saves; the best for each byte first."""
    heap: list[tuple[float, int, int, float]] = []
    for place, hull in enumerate(hulls):
        for step, (small, large) in enumerate(pairwise(hull)):
            saved = small.error - large.error
            heapq.heappush(heap, (-saved / (large.nbytes - small.nbytes), place, step, saved))
    return [(place, saved) for _, place, _, saved in (heapq.heappop(heap) for _ in range(len(heap)))]


def _hull(costs: Sequence[TypeCost]) -> list[TypeCost]:
    """Return the types that are worth their bytes: the lower convex hull of size and error."""
    hull: list[TypeCost] = []
    for cost in sorted(costs, key=lambda each: (each.nbytes, each.error)):
        if hull and cost.error >= hull[-1].error:
            continue
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-1], cost):
            hull.pop()
        hull.append(cost)
    return hull


def _slope(small: TypeCost, large: TypeCost) -> float:
    """Return by how much a step reduces the error for each byte."""
    return (small.error - large.error) / (large.nbytes - small.nbytes)


def _measure_types(tensor: MergedTensor, least: float, blocks: BlockWriter) -> tuple[list[TypeCost], float]:
    """Return the size and the error of a tensor in each type, and ‖ΔW‖².

    Raises:
        InputError: the base or the adapter cannot be read.
    """
    if len(tensor.base.shape) < 2:
        return [TypeCost(tensor.kind, tensor.nbytes, 0.0, 1.0)], 0.0
    columns = row_width(tensor.base)
    try:
        with FileIO(tensor.base.path, "rb") as file, TensorReader() as weights:
            factors = load_factors(tensor.change, weights) if tensor.change is not None else None
            parts = [merged_numbers(tensor, factors, block, file) for block in _sample(tensor)]
    except OSError as problem:
        raise InputError(f"Cannot read the base: {problem.strerror}.", where=tensor.base.path) from problem
    changes = [merged - numbers for _, numbers, merged in parts]
    length = sum(float(np.vdot(change, change)) for change in changes)
    share = sum(change.size for change in changes) / float(np.prod(tensor.base.shape))
    costs = []
    for kind in _types_for(tensor):
        draft, moves = replace(tensor, kind=kind), CodeMoves()
        if draft.keeps_scales:
            for (raw, _, _), change in zip(parts, changes, strict=True):
                moves.join(measure_moves(raw, kind, change))
        rounding, error, product = rounding_from(draft, moves, blocks), 0.0, 0.0
        for (raw, numbers, merged), change in zip(parts, changes, strict=True):
            gained = read_blocks(rounding(raw, numbers, merged), kind, columns) - numbers
            product += float(np.vdot(gained, change))
            gained -= change
            error += float(np.vdot(gained, gained))
        if np.isfinite(error):
            costs.append(TypeCost(kind, draft.nbytes, error / share, product / length if length else 1.0))
    kept = [cost for cost in costs if abs(cost.gain - 1) <= 1 - least]
    return kept or costs, length / share


def _types_for(tensor: MergedTensor) -> list[int]:
    """Return the types that a tensor may get, that of the base first."""
    base, columns = tensor.base.kind, tensor.base.shape[-1]
    there = has_ggml()
    kinds = dict.fromkeys((base, *LARGER_TYPES))
    return [
        kind
        for kind in kinds
        if columns % BLOCKS[kind][0] == 0
        and (
            can_write_blocks(kind) or (needs_ggml(kind) and there) or (kind == base and kind in CODE_LAYOUTS)
        )
    ]


def _sample(tensor: MergedTensor) -> list[RowBlock]:
    """Return some pieces of a tensor, spread over it."""
    *front, there, columns = tensor.base.shape
    rows = min(there, tensor.rows or there)
    experts = int(np.prod(front, dtype=np.int64)) if front else 1
    count = min(max(SAMPLE_NUMBERS // columns, 1), rows)
    found = []
    for place in range(SAMPLES):
        start = (rows - count) * place // max(SAMPLES - 1, 1)
        block = RowBlock(experts * place // SAMPLES, start, start + count)
        if block not in found:
            found.append(block)
    return found
