"""The values that describe a GGUF LoRA file: what it will hold, and what was written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ollama_pack.gguf.tensors import Tensor


@dataclass(frozen=True, slots=True)
class LoraTensor:
    """One tensor of a GGUF LoRA file, planned: where it comes from and what happens to it.

    Attributes:
        name: in the file, ``blk.0.attn_q.weight.lora_b``.
        source: the tensor it is made from.
        rows: row i of the new tensor is row ``order[i]`` of the source, in each expert; None keeps
            them. It may take a part of the rows.
        factor: multiplied in float32 before the cast; 1.0 leaves the numbers alone.
    """

    name: str
    source: Tensor
    rows: tuple[int, ...] | None = None
    factor: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Return its shape, rows first."""
        shape = self.source.shape
        return shape if self.rows is None else (*shape[:-2], len(self.rows), shape[-1])


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
