"""LOOK  at every number of an adapter once: NaN and infinity, and adapters that do nothing."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ollama_pack.gguf.tensor_data import Stored, TensorReader, all_finite, keep_freed_memory
from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.adapter import LoraPair, leaves_of, tensors_of
from ollama_pack.lora.rules import RuleViolations

SCAN_WORKERS = 2


class TensorStats(NamedTuple):
    """What the numbers of a tensor are.

    Attributes:
        tensor: whose.
        bad: how many are NaN or infinite.
        zero: whether all are zero.
    """

    tensor: Tensor
    bad: int
    zero: bool


def check_finite(pairs: Sequence[LoraPair], findings: RuleViolations, *, allow_noop: bool = False) -> None:
    """Find tensors that are not finite, and whether no pair changes anything.

    ΔW is a product in every method, so it is zero where one of its factors is. Every number is read.

    Raises:
        InputError: the weights cannot be read.
    """
    keep_freed_memory()
    tensors = tensors_of(pairs)
    with ThreadPoolExecutor(SCAN_WORKERS, "numbers") as pool:
        looks = [
            look
            for part in pool.map(_look_at, (tensors[i::SCAN_WORKERS] for i in range(SCAN_WORKERS)))
            for look in part
        ]
    for look in looks:
        if look.bad:
            findings.add(
                "not-finite", f"{look.tensor.name}: {look.bad} of {_element_count(look.tensor)} numbers"
            )
    zero = {(look.tensor.path, look.tensor.name) for look in looks if look.zero}
    idle = [pair.module for pair in pairs if pair.alpha == 0 or _any_of(pair, zero)]
    if len(idle) == len(pairs) and not allow_noop and not findings.codes:
        findings.add("noop", *idle)


def _any_of(pair: LoraPair, zero: set[tuple[Path, str]]) -> bool:
    return any((leaf.path, leaf.name) in zero for leaf in leaves_of(pair))


def _look_at(tensors: Iterable[Tensor]) -> list[TensorStats]:
    with TensorReader() as weights:
        return [_tensor_stats(tensor, *weights.read_raw(tensor)) for tensor in tensors]


def _tensor_stats(tensor: Tensor, numbers: Stored, dtype: str) -> TensorStats:
    if not all_finite(numbers):
        wide = numbers.astype(np.uint32) << np.uint32(16) if dtype == "BF16" else numbers
        bad = int((~np.isfinite(wide.view(np.float32) if dtype == "BF16" else wide)).sum())
        return TensorStats(tensor, bad, zero=False)
    magnitudes = numbers & np.uint16(0x7FFF) if dtype == "BF16" else numbers
    return TensorStats(tensor, 0, zero=not magnitudes.any())


def _element_count(tensor: Tensor) -> int:
    return int(np.prod(tensor.shape))
