"""An adapter, as it was trained and as it goes into a GGUF LoRA file."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_pack.gguf.tensors import StoredTensor, Tensor, leaves


@dataclass(frozen=True, slots=True)
class LoraPair:
    """One adapted weight: ΔW = alpha / rank · B · A, of each expert where there are experts.

    Attributes:
        module: the module's name in the base model, ``model.layers.0.self_attn.q_proj``.
        a: ``rank × in``, or ``experts × rank × in``.
        b: ``out × rank``, or ``experts × out × rank``.
        alpha: so that alpha / rank is what PEFT multiplies B·A with. rsLoRA (alpha / √rank) and
            the patterns of the configuration are already in it.
    """

    module: str
    a: Tensor
    b: Tensor
    alpha: float

    @property
    def rank(self) -> int:
        """Return the inner dimension of B·A."""
        return self.a.shape[-2]

    @property
    def scale(self) -> float:
        """Return what B·A is multiplied with."""
        return self.alpha / self.rank


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter as its trainer left it on disk, brought to A and B.

    Attributes:
        directory: where it lies.
        weights: its file of weights.
        pairs: one per adapted weight, ordered by module name (numbers as numbers).
        rank: ``r`` of the configuration.
        alpha: ``lora_alpha`` of the configuration.
        base_id: ``base_model_name_or_path``, empty when the configuration has none.
        config: adapter_config.json, parsed.
        method: what was trained, as people write it: ``LoRA``, ``AdaLoRA``.
        invocation: token ids after which the adapter is active (aLoRA); empty: always.
        notes: what the user should know about this adapter.
    """

    directory: Path
    weights: Path
    pairs: tuple[LoraPair, ...]
    rank: int
    alpha: float
    base_id: str
    config: Mapping[str, Any]
    method: str = "LoRA"
    invocation: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


_LAYER_NUMBER = re.compile(r"\.(?:layers|h|blocks)\.([0-9]{1,6})\.")


def layer_of(module: str) -> int | None:
    """Return the number of the block a module is in, ``model.layers.3.mlp`` → 3; None outside the blocks."""
    match = _LAYER_NUMBER.search(f"{module}.")
    return int(match[1]) if match else None


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
