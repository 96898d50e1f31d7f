"""Make A and B of FourierFT: frequencies of ΔW's spectrum, at places that torch's generator draws."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ollama_pack.gguf.tensor_data import Float32
from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.algebra import lazy
from ollama_pack.lora.factors import (
    FactorError,
    Factors,
    Parts,
    full_rank_error,
    rank_error,
    require_shapes,
    size_error,
)


def fold_fourierft(
    module: str,
    parts: Parts,
    rank: int,
    *,
    scaling: Any = 150.0,  # noqa: ANN401 — unchecked JSON
    random_loc_seed: Any = 777,  # noqa: ANN401 — unchecked JSON
) -> Factors:
    """Return the factors of rank 2·n of FourierFT, which trains n numbers of ΔW's spectrum.

    ΔW is the real part of the inverse transform of a matrix of zeros with these numbers in it. Element m, l
    is the sum of s / (out·in) · cos(2π(i·m / out + j·l / in)) over all of them, and the cosine of a sum is
    two products: cos·cos − sin·sin (``peft/tuners/fourierft/layer.py``).

    Raises:
        FactorError: the shape, the seed or the scaling is not valid, or the factors would be larger than the
            weight.
    """
    spectrum = parts["fourierft_spectrum"]
    require_shapes(module, parts, fourierft_spectrum=(0,))
    count = spectrum.shape[0]
    if count != rank:
        raise rank_error(module, count, rank)
    if type(random_loc_seed) is not int or isinstance(scaling, bool) or not isinstance(scaling, int | float):
        raise FactorError(
            "shape", f"{module}: random_loc_seed = {random_loc_seed!r:.40}, scaling = {scaling!r:.40}"
        )

    def fit(out: int, width: int) -> tuple[Tensor, Tensor]:
        if not out or not width:
            raise size_error(module)
        if 2 * count * (out + width) > out * width:
            raise full_rank_error(module, 2 * count, out, width)
        rows, columns = _places(count, out, width, random_loc_seed)
        factor = float(scaling) / (out * width)
        return (
            lazy((2 * count, width), (spectrum,), lambda _: np.concatenate(_waves(columns, width))),
            lazy((out, 2 * count), (spectrum,), lambda numbers: _amplitudes(rows, out, numbers * factor)),
        )

    def first(numbers: Float32) -> Float32:
        return np.concatenate((numbers, np.zeros_like(numbers)))[None, :]

    # The numbers themselves, as one row: two adapters of one weight can be compared without its size.
    alone = lazy((2 * count, count), (spectrum,), lambda _: np.eye(2 * count, count, dtype=np.float32))
    return Factors(alone, lazy((1, 2 * count), (spectrum,), first), fit)


def _waves(frequencies: Any, size: int) -> tuple[Float32, Float32]:  # noqa: ANN401 — an array
    """Return the cosine and the sine of each frequency, count × size."""
    turns = (frequencies[:, None] * np.arange(size, dtype=np.int64)[None, :] % size) * (2 * math.pi / size)
    return np.cos(turns).astype(np.float32), np.sin(turns).astype(np.float32)


def _amplitudes(frequencies: Any, size: int, numbers: Float32) -> Float32:  # noqa: ANN401 — an array
    """Return B: the waves along the rows, each times the number of its frequency."""
    cosines, sines = _waves(frequencies, size)
    return np.concatenate((cosines * numbers[:, None], -sines * numbers[:, None])).T.astype(np.float32)


def _places(count: int, out: int, width: int, seed: int) -> tuple[Any, Any]:
    """Return the rows and the columns of the spectrum that are trained."""
    places = np.fromiter(first_of_permutation(count, out * width, seed), np.int64, count)
    return places // width, places % width


def first_of_permutation(count: int, total: int, seed: int) -> Iterator[int]:
    """Yield the first numbers of ``torch.randperm(total)`` with a generator of a seed.

    It is a shuffle from the front: step i swaps element i with one of those from i on, which the next 32 bits
    of the Mersenne twister choose (``randperm_cpu`` in torch's ``TensorFactories.cpp``). numpy has the same
    twister. Only the elements that have moved are kept.

    Args:
        count: how many numbers are wanted.
        total: how many there are.
        seed: the seed of the generator.
    """
    drawn = np.frombuffer(np.random.RandomState(seed & 0xFFFFFFFF).bytes(4 * count), "<u4").tolist()
    moved: dict[int, int] = {}
    for place, number in enumerate(drawn):
        other = place + number % (total - place)
        yield moved.get(other, other)
        moved[other] = moved.get(place, place)
