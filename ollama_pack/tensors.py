"""What the tensors of an adapter are made from: those that lie in its files."""

import re
from collections.abc import Iterable, Iterator

from ollama_pack.parts import Adapter, LoraPair, StoredTensor, Tensor

_BLOCK = re.compile(r"\.(?:layers|h|blocks)\.([0-9]{1,6})\.")


def block_of(module: str) -> int | None:
    """Return the number of the block a module is in, ``model.layers.3.mlp`` → 3; None outside the blocks."""
    match = _BLOCK.search(f"{module}.")
    return int(match[1]) if match else None


def leaves(tensor: Tensor) -> Iterator[Tensor]:
    """Yield the tensors another one is made from, itself where it is made from none."""
    if isinstance(tensor, StoredTensor) or not tensor.parts:
        yield tensor
    else:
        for part in tensor.parts:
            yield from leaves(part)


def leaves_of(pair: LoraPair) -> Iterator[Tensor]:
    """Yield the tensors that A and B of a pair are made from; one may come twice."""
    yield from leaves(pair.a)
    yield from leaves(pair.b)


def tensors_of(pairs: Iterable[LoraPair]) -> tuple[Tensor, ...]:
    """Return the tensors that pairs are made from, each once."""
    found = (leaf for pair in pairs for leaf in leaves_of(pair))
    return tuple({(leaf.path, leaf.name): leaf for leaf in found}.values())


def trained_tensors(adapter: Adapter) -> tuple[Tensor, ...]:
    """Return the tensors in its files that an adapter is made from, each once."""
    return tensors_of(adapter.pairs)


def dtypes_of(adapter: Adapter) -> tuple[str, ...]:
    """Return the dtypes an adapter is stored in; F32 where torch has read it."""
    kinds = {leaf.dtype if isinstance(leaf, StoredTensor) else "F32" for leaf in trained_tensors(adapter)}
    return tuple(sorted(kinds))
