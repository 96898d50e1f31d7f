"""Look at every number of an adapter once: for NaN and infinity, and for adapters that do nothing.

Tensors that lie side by side are read as one run, because an adapter of single experts has tens of thousands
of tensors of a few kilobytes each.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ollama_pack.gguf.tensor_data import TensorReader, finite_and_zero, keep_freed_memory, to_float32
from ollama_pack.gguf.tensors import StoredTensor, Tensor
from ollama_pack.lora.adapter import Adapter, LoraPair, leaves_of, tensors_of, trained_tensors
from ollama_pack.lora.unsupported import RuleViolations

SCAN_WORKERS = 2
RUN_BYTES = 1 << 20
"""The size in bytes at which a run ends; a larger tensor is a run of its own."""

LARGE_BYTES, SCANNED_AT_ONCE = 256 << 20, 1 << 24
"""The size in bytes from which a tensor is large, and how many of its numbers are read at a time."""


class TensorStats(NamedTuple):
    """What is unusual about the numbers of a tensor.

    Attributes:
        tensor: the tensor they belong to.
        bad: how many numbers are NaN or infinite.
        zero: whether all numbers are zero.
    """

    tensor: Tensor
    bad: int
    zero: bool


def check_finite(pairs: Sequence[LoraPair], findings: RuleViolations, *, allow_noop: bool = False) -> None:
    """Add violations for tensors that are not finite, and for an adapter that changes nothing.

    ΔW is a product in most methods, so it is zero if one of its factors is. Every number is read,
    except in large tensors: `check_large` reads these after their shapes were compared with the base.

    Raises:
        InputError: the weights cannot be read.
    """
    keep_freed_memory()
    runs = tuple(_runs(tensor for tensor in tensors_of(pairs) if not is_large(tensor)))
    with ThreadPoolExecutor(SCAN_WORKERS, "numbers") as pool:
        shares = pool.map(_scan, (runs[worker::SCAN_WORKERS] for worker in range(SCAN_WORKERS)))
        found = [stats for share in shares for stats in share]
    _find_bad(found, findings)
    zero = {(stats.tensor.path, stats.tensor.name) for stats in found if stats.zero}
    idle = [pair.module for pair in pairs if pair.alpha == 0 or _any_of(pair, zero)]
    if len(idle) == len(pairs) and not allow_noop and not findings.codes and _are_zero(pairs):
        findings.add("noop", *idle)


def is_large(tensor: Tensor) -> bool:
    """Return whether a tensor is so large that its shape is compared with the base before it is read."""
    return isinstance(tensor, StoredTensor) and tensor.nbytes > LARGE_BYTES


def check_large(adapter: Adapter) -> None:
    """Require the large tensors of an adapter to be finite.

    Raises:
        InputError: the weights cannot be read, or are not finite.
    """
    findings = RuleViolations(adapter.weights)
    large = [tensor for tensor in trained_tensors(adapter) if is_large(tensor)]
    _find_bad(_scan(_runs(piece for tensor in large for piece in _pieces(tensor))), findings)
    findings.raise_if_any()


def _pieces(tensor: Tensor) -> Iterator[Tensor]:
    """Yield a large tensor in pieces of bounded size, which are named by their places."""
    assert isinstance(tensor, StoredTensor)
    count = _element_count(tensor)
    for start in range(0, count, SCANNED_AT_ONCE):
        length = min(SCANNED_AT_ONCE, count - start)
        yield tensor._replace(
            name=f"{tensor.name}, numbers {start} to {start + length - 1}",
            shape=(length,),
            offset=tensor.offset + tensor.nbytes * start // count,
            nbytes=tensor.nbytes * length // count,
        )


def check_finite_tensors(tensors: Sequence[Tensor], findings: RuleViolations) -> None:
    """Add violations for tensors that are not finite, except large ones, which `check_large` reads.

    Raises:
        InputError: the weights cannot be read.
    """
    _find_bad(_scan(_runs(tensor for tensor in tensors if not is_large(tensor))), findings)


def _find_bad(found: Iterable[TensorStats], findings: RuleViolations) -> None:
    """Add a violation for each tensor that is not finite."""
    for stats in found:
        if stats.bad:
            findings.add(
                "not-finite", f"{stats.tensor.name}: {stats.bad} of {_element_count(stats.tensor)} numbers"
            )


def _are_zero(pairs: Sequence[LoraPair]) -> bool:
    """Return whether A or B of every pair is zero. If one tensor of a sum is zero, the sum need not be."""
    with TensorReader() as source:
        return all(
            pair.alpha == 0 or not source.float32(pair.b).any() or not source.float32(pair.a).any()
            for pair in pairs
        )


def zero_tensors(tensors: Sequence[Tensor]) -> set[tuple[Path, str]]:
    """Return the file and the name of each tensor whose numbers are all zero.

    Raises:
        InputError: the weights cannot be read.
    """
    return {(stats.tensor.path, stats.tensor.name) for stats in _scan(_runs(tensors)) if stats.zero}


def _any_of(pair: LoraPair, zero: set[tuple[Path, str]]) -> bool:
    """Return whether one of the tensors of a pair is among those that are zero."""
    return bool(zero) and any((leaf.path, leaf.name) in zero for leaf in leaves_of(pair))


def _runs(tensors: Iterable[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    """Yield tensors of one dtype that lie side by side in a file together, and all others alone."""
    files: dict[Path, list[StoredTensor]] = {}
    for tensor in tensors:
        if isinstance(tensor, StoredTensor):
            files.setdefault(tensor.path, []).append(tensor)
        else:
            yield (tensor,)
    for stored in files.values():
        stored.sort(key=lambda tensor: (tensor.offset, tensor.nbytes))
        run = [stored[0]]
        for tensor in stored[1:]:
            last = run[-1]
            beside = tensor.offset == last.offset + last.nbytes and tensor.dtype == last.dtype
            if not beside or tensor.offset + tensor.nbytes - run[0].offset > RUN_BYTES:
                yield tuple(run)
                run = []
            run.append(tensor)
        yield tuple(run)


def _as_one_tensor(run: Sequence[Tensor]) -> Tensor:
    """Return the tensors of a run as one."""
    first, last = run[0], run[-1]
    if not isinstance(first, StoredTensor) or not isinstance(last, StoredTensor) or first is last:
        return first
    nbytes = last.offset + last.nbytes - first.offset
    return first._replace(shape=(sum(map(_element_count, run)),), nbytes=nbytes)


def _scan(runs: Iterable[Sequence[Tensor]]) -> list[TensorStats]:
    """Return the statistics of the tensors in some runs that are not finite, or all zero."""
    with TensorReader() as weights:
        return [stats for run in runs for stats in _run_stats(run, weights)]


def _run_stats(run: Sequence[Tensor], weights: TensorReader) -> Iterator[TensorStats]:
    """Yield the statistics of each tensor that is not finite, or all zero; an empty tensor counts as zero."""
    stored, dtype = weights.read_raw(_as_one_tensor(run))
    numbers = stored.reshape(-1)
    ends = list(accumulate(map(_element_count, run)))
    filled = [start for start, end in zip((0, *ends), ends, strict=False) if start < end]
    finite, zero = finite_and_zero(numbers, np.array(filled, np.intp))
    if len(filled) == len(run) and finite.all() and not zero.any():
        return  # as nearly always, so nothing is made of each of tens of thousands of tensors
    parts = iter(zip(finite.tolist(), zero.tolist(), strict=True))
    for tensor, start, end in zip(run, (0, *ends), ends, strict=False):
        good, idle = next(parts) if start < end else (True, True)
        bad = 0 if good else int((~np.isfinite(to_float32(numbers[start:end], dtype))).sum())
        if bad or idle:
            yield TensorStats(tensor, bad, zero=idle)


def _element_count(tensor: Tensor) -> int:
    """Return how many numbers a tensor has."""
    return math.prod(tensor.shape)


def ungathered_tensors(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the tensors that ZeRO-3 left empty: some without any shape, or all without numbers.

    A pruned rank of AdaLoRA leaves some without numbers, too; they have a shape.
    """
    every = all(0 in tensor.shape for tensor in tensors.values())
    return [name for name, tensor in tensors.items() if every or tensor.shape == (0,)]
