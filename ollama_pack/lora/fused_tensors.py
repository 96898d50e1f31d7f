"""Adapt slots to a base that fuses (or splits) q/k/v and gate/up differently from the architecture table.

Most architectures of llama.cpp accept q, k and v as three tensors or as one, and some accept gate and up of
routed experts as two tensors or as one (``--fuse-qkv`` and ``--fuse-gate-up-exps`` of
``convert_hf_to_gguf.py``). A LoRA must name the tensors that the base has. If the base fuses, the pairs are
concatenated along their ranks, and each B is placed at the rows of its part. If the base splits, each part
gets the same A and its rows of B. Both are exact: docs/decisions.md, "The base's layout comes last".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

from ollama_pack.arch.spec import Arch, Kind
from ollama_pack.base.model import BaseModel
from ollama_pack.gguf.tensors import MATRIX_NDIM, Tensor
from ollama_pack.lora.adapter import LoraPair
from ollama_pack.lora.algebra import embed_rows, transpose
from ollama_pack.lora.pairs import sum_pairs

FUSED_TENSORS = {
    "attn_qkv": ("attn_q", "attn_k", "attn_v"),
    "ffn_gate_up_exps": ("ffn_gate_exps", "ffn_up_exps"),
}
"""The kinds of fused tensors, each with its parts in the order of their rows."""

WEIGHT = ".weight"

_IN_BLOCK = re.compile(r"(blk\.(?:0|[1-9][0-9]{0,5}))\.(\w+)\.weight")
"""The name of a weight in a block. The groups are the block and the kind of the weight."""


class TensorSlot(NamedTuple):
    """The destination of a pair in a GGUF LoRA file.

    Attributes:
        tensor: the GGUF name of the weight, ``blk.0.attn_q.weight``.
        pair: the pair, in the orientation and size of that weight.
        rows: the row of the pair's B for each row of B in the file, or None if all rows keep their order.
        kind: the kind of the weight, which decides how the file stores A and B.
    """

    tensor: str
    pair: LoraPair
    rows: tuple[int, ...] | None
    kind: Kind

    @property
    def a(self) -> Tensor:
        """Return A as the file stores it. The A of an embedding is transposed, as llama.cpp expects it."""
        return transpose(self.pair.a) if self.kind is Kind.EMBEDDING else self.pair.a


def as_table_names(base: BaseModel, arch: Arch) -> BaseModel:
    """Return the base with fused tensors renamed to those of the architecture table.

    If the names already match, the same object is returned.
    """
    if base.tensors is None:
        return base
    named = {weight.tensor_name(base.hparams.experts > 0).rpartition(".")[2] for weight in arch.weights}
    shapes = dict(base.tensors)
    for fused, parts in FUSED_TENSORS.items():
        if (fused in named) == any(part in named for part in parts):
            continue  # The table names both layouts, or neither, so there is nothing to rename.
        for name, shape in base.tensors.items():
            known = _IN_BLOCK.fullmatch(name)
            if known is None or len(shape) < MATRIX_NDIM:
                continue
            block, kind = known.groups()
            if kind == fused and fused not in named:
                shapes |= _unfuse_shapes(name, _parts_of(block, fused), base)
            elif kind == parts[0] and fused in named:
                shapes |= _fuse_shapes(f"{block}.{fused}{WEIGHT}", _parts_of(block, fused), base)
    return base if shapes.keys() == base.tensors.keys() else replace(base, tensors=shapes)


def to_base_layout(slots: Sequence[TensorSlot], base: BaseModel, table: BaseModel) -> Iterator[TensorSlot]:
    """Yield the slots with the tensors that the base has.

    Args:
        slots: the slots, with the tensor names of the architecture table.
        base: the base with its own tensor names.
        table: the base with the tensor names of the table, as `as_table_names` returned it.
    """
    tensors = base.tensors
    if tensors is None or table is base:
        yield from slots
        return
    groups: dict[str, list[TensorSlot]] = {}
    for slot in slots:
        groups.setdefault(_fused_name(slot.tensor, tensors), []).append(slot)
    for name, group in groups.items():
        if name:
            yield _fuse_slots(name, group, table)
            continue
        for slot in group:
            yield from (slot,) if slot.tensor in tensors else _split_slot(slot, tensors)


def _parts_of(block: str, fused: str) -> list[str]:
    """Return the names of the parts of a fused tensor of a block, in the order of their rows."""
    return [f"{block}.{part}{WEIGHT}" for part in FUSED_TENSORS[fused]]


def _unfuse_shapes(name: str, parts: Sequence[str], base: BaseModel) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes of the parts of a fused tensor, or no shapes if its rows do not match the heads."""
    *front, rows, columns = (base.tensors or {})[name]
    own = base.hparams.at_layer(int(name.split(".")[1]))
    sizes = [rows // len(parts)] * len(parts)
    if "attn" in name:
        sizes = [heads * own.head_dim for heads in (own.heads, own.kv_heads, own.kv_heads)]
    if sum(sizes) != rows:
        return {}
    return {part: (*front, size, columns) for part, size in zip(parts, sizes, strict=True)}


def _fuse_shapes(name: str, parts: Sequence[str], base: BaseModel) -> Mapping[str, tuple[int, ...]]:
    """Return the shape of a fused tensor that the base has split, or no shape if a part is missing."""
    shapes = [(base.tensors or {}).get(part) for part in parts]
    known = [shape for shape in shapes if shape is not None]
    if len(known) != len(parts) or min(map(len, known)) < MATRIX_NDIM:
        return {}
    return {name: (*known[0][:-2], sum(shape[-2] for shape in known), known[0][-1])}


def _fused_name(tensor: str, tensors: Mapping[str, tuple[int, ...]]) -> str:
    """Return the fused tensor of the base that contains this one, or '' if the base does not fuse it."""
    block, _, kind = tensor.removesuffix(WEIGHT).rpartition(".")
    names = (f"{block}.{fused}{WEIGHT}" for fused, parts in FUSED_TENSORS.items() if kind in parts)
    return "" if tensor in tensors else next((name for name in names if name in tensors), "")


def _fuse_slots(name: str, slots: Sequence[TensorSlot], table: BaseModel) -> TensorSlot:
    """Return one slot of a fused tensor for the slots of its parts."""
    block, _, kind = name.removesuffix(WEIGHT).rpartition(".")
    parts = _parts_of(block, kind)
    shapes = table.tensors or {}
    starts = list(accumulate((shapes[part][-2] for part in parts), initial=0))
    pairs = [
        slot.pair._replace(
            b=embed_rows(slot.pair.b, slot.rows, starts[parts.index(slot.tensor)], starts[-1]),
        )
        for slot in slots
    ]
    return TensorSlot(name, sum_pairs(pairs), None, slots[0].kind)


def _split_slot(slot: TensorSlot, tensors: Mapping[str, tuple[int, ...]]) -> Iterator[TensorSlot]:
    """Yield a slot for each part of a tensor that the base has split."""
    block, _, kind = slot.tensor.removesuffix(WEIGHT).rpartition(".")
    order = slot.rows or range(slot.pair.b.shape[-2])
    start = 0
    for name in _parts_of(block, kind):
        end = start + tensors[name][-2]
        yield slot._replace(tensor=name, rows=tuple(order[start:end]))
        start = end
