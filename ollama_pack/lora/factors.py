"""What a training method's tensors are made into, factors A and B, and why they cannot be."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from ollama_pack.gguf.tensors import Tensor

Parts = Mapping[str, Tensor]
Fit: TypeAlias = Callable[[int, int], tuple[Tensor, Tensor]]
"""Makes A and B for a weight of out × in. A size is 0 if the base does not tell it; a fit that needs it
raises `FactorError`. The rank is always the same."""


class Factors(NamedTuple):
    """A and B of one weight.

    Attributes:
        a: the factor A, rank × in.
        b: the factor B, out × rank.
        fit: makes A and B for the size of the weight, if the trained tensors do not tell it; `a` and `b` are
            then those of the smallest weight that they make sense for.
    """

    a: Tensor
    b: Tensor
    fit: Fit | None = None


class FactorError(Exception):
    """The tensors of one weight cannot be converted to A and B.

    Args:
        code: the code of the violated rule in `ollama_pack.lora.unsupported`.
        text: the module, its tensors, and what is wrong with them.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def require_matrices(module: str, parts: Parts) -> None:
    """Require every part to be a matrix that is not empty.

    Raises:
        FactorError: a part is not a matrix, or has no rows or columns.
    """
    wrong = [
        f"{name} {shape_of(part)}" for name, part in parts.items() if len(part.shape) != 2 or 0 in part.shape
    ]
    if wrong:
        raise FactorError("shape", f"{module}: {', '.join(sorted(wrong))} is not a matrix")


def require_shapes(module: str, parts: Parts, **shapes: tuple[int, ...]) -> None:
    """Require parts to have shapes, in which 0 stands for any size.

    Raises:
        FactorError: a part has another shape.
    """
    for name, wanted in shapes.items():
        shape = parts[name].shape
        if (
            len(shape) != len(wanted)
            or 0 in shape
            or any(w not in (0, s) for s, w in zip(shape, wanted, strict=True))
        ):
            raise FactorError("shape", f"{module}: {name} has the shape {shape_of(parts[name])}")


def rank_error(module: str, actual: int, expected: int) -> FactorError:
    """Return the error for a rank that is not the one in the configuration."""
    return FactorError("rank", f"{module}: rank {actual} in the file, {expected} in adapter_config.json")


def size_error(module: str) -> FactorError:
    """Return the error for a weight whose size the base does not tell."""
    return FactorError("size-unknown", module)


def require_low_rank(module: str, a: Tensor, b: Tensor) -> Factors:
    """Return the factors if they have no more numbers than the weight that they express.

    Raises:
        FactorError: they have more.
    """
    inner, out, width = a.shape[0], b.shape[0], a.shape[1]
    if inner * (out + width) > out * width:
        raise full_rank_error(module, inner, out, width)
    return Factors(a, b)


def full_rank_error(module: str, inner: int, out: int, width: int) -> FactorError:
    """Return the error for factors that are larger than their weight."""
    return FactorError(
        "full-rank", f"{module}: exact factors have rank {inner}, for a weight of {out}×{width}"
    )


def shape_of(tensor: Tensor) -> str:
    """Return a shape as it is written in messages, ``24×20``, or ``()`` for a scalar."""
    return "×".join(map(str, tensor.shape)) or "()"
