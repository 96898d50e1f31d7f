"""The values that describe a GGUF LoRA file: its plan before it is written, and the file afterwards.

The planner, which needs numpy, is another module: docs/decisions.md, "The plan's values and the planner are
two modules".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ollama_pack.gguf.tensors import Tensor

LORA_A, LORA_B = ".lora_a", ".lora_b"
"""What llama.cpp adds to the name of a tensor for the A and the B of its change."""


class LoraTensor(NamedTuple):
    """The plan of one tensor of a GGUF LoRA file.

    Attributes:
        name: the name of the tensor in the file, ``blk.0.attn_q.weight.lora_b``.
        source: the tensor that its values come from.
        rows: the source row of each row, so that row i is row ``rows[i]`` of the source (of each expert), or
            None if all rows keep their order. It may select only a part of the rows.
        factor: the number that the values are multiplied by in float32, before the cast to the outtype.
    """

    name: str
    source: Tensor
    rows: tuple[int, ...] | None = None
    factor: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the planned tensor, with rows before columns as in numpy."""
        shape = self.source.shape
        return shape if self.rows is None else (*shape[:-2], len(self.rows), shape[-1])


@dataclass(frozen=True, slots=True)
class LoraPlan:
    """Everything that goes into a GGUF LoRA file.

    Attributes:
        arch: the value of ``general.architecture``.
        alpha: the value of ``adapter.lora.alpha``. llama.cpp multiplies B·A by alpha / rank, with the rank of
            the tensor (``llama_adapter_lora_weight::get_scale`` in ``src/llama-adapter.h``).
        tensors: the tensors in file order, A and then B of every weight.
        metadata: the other keys, each with a string, or with one or several numbers stored as uint32.
    """

    arch: str
    alpha: float
    tensors: tuple[LoraTensor, ...]
    metadata: Mapping[str, str | int | tuple[int, ...]] = field(default_factory=dict)


class LoraFile(NamedTuple):
    """A GGUF LoRA file on disk.

    Attributes:
        path: the path of the file.
        digest: the digest of the file, ``sha256:`` and 64 hexadecimal digits.
        size: the size of the file in bytes.
        outtype: the type of its tensors, ``f16``, or all types if there are several, ``bf16/f16``.
    """

    path: Path
    digest: str
    size: int
    outtype: str
