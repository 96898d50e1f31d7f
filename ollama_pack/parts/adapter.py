"""An adapter, as it was trained and as it goes into a GGUF LoRA file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor lying in a file, not read yet.

    Attributes:
        path: the file.
        name: its name inside the file.
        dtype: ``F32``, ``F16`` or ``BF16``; ``Q8_0`` in a GGUF file.
        shape: rows first.
        offset: of its first byte in the file.
        nbytes: its size in bytes.
    """

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class MadeTensor:
    """A tensor made from others when it is needed: a product, a slice, a stack.

    Attributes:
        path: the file its numbers come from, the first one where there are several.
        name: of the tensor it is made from, the first one where there are several.
        shape: rows first.
        parts: what it is made from; empty where `make` has the numbers itself.
        make: called with the numbers of each part, float32 in its shape; returns float32 in `shape`.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    parts: "tuple[Tensor, ...]"
    make: Callable[..., Any]


Tensor: TypeAlias = StoredTensor | MadeTensor
"""A tensor whose shape is known and whose numbers can be had."""


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


@dataclass(frozen=True, slots=True)
class LoraTensor:
    """One tensor of a GGUF LoRA file, planned: where it comes from and what happens to it.

    Attributes:
        name: in the file, ``blk.0.attn_q.weight.lora_b``.
        source: the tensor it is made from.
        order: row i of the new tensor is row ``order[i]`` of the source, in each expert; None keeps
            them. It may take a part of the rows.
        factor: multiplied in float32 before the cast; 1.0 leaves the numbers alone.
    """

    name: str
    source: Tensor
    order: tuple[int, ...] | None = None
    factor: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Return its shape, rows first."""
        shape = self.source.shape
        return shape if self.order is None else (*shape[:-2], len(self.order), shape[-1])


@dataclass(frozen=True, slots=True)
class LoraPlan:
    """Everything that goes into a GGUF LoRA file.

    Attributes:
        arch: ``general.architecture``.
        alpha: ``adapter.lora.alpha``; llama.cpp multiplies B·A with alpha / rank of the tensor.
        tensors: A then B of every weight, in file order.
        metadata: further keys with their text, or a number or numbers stored as uint32.
    """

    arch: str
    alpha: float
    tensors: tuple[LoraTensor, ...]
    metadata: Mapping[str, str | int | tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoraFile:
    """A GGUF LoRA file on disk.

    Attributes:
        path: the file.
        digest: ``sha256:`` and 64 hexadecimal digits.
        size: in bytes.
        outtype: type of its tensors, ``f16``; all of them where they differ, ``bf16/f16``.
    """

    path: Path
    digest: str
    size: int
    outtype: str
