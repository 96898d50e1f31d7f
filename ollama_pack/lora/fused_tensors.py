"""LAY OUT  places by the tensors of a base that keeps weights in one, or apart, where its row does otherwise.

llama.cpp takes q, k and v as three tensors or as one in most architectures, and gate and up of routed experts
in some (``--fuse-qkv`` and ``--fuse-gate-up-exps`` of its converter). A LoRA has to name the tensors that are
there. Of several pairs for one tensor the ranks are put side by side, each B at the rows of its part; of
one pair for several tensors each has the same A and its part of B. Both are exact.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

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
"""The tensor of several weights, one below the other → the tensors of each."""

WEIGHT = ".weight"

_IN_BLOCK = re.compile(r"(blk\.(?:0|[1-9][0-9]{0,5}))\.(\w+)\.weight")
"""The name of a weight in a block: the block, and what it is."""


@dataclass(frozen=True, slots=True)
class TensorSlot:
    """Where a pair ends up in a file.

    Attributes:
        tensor: the GGUF name of the weight, ``blk.0.attn_q.weight``.
        pair: as it fits there.
        rows: row i of B in the file is row ``order[i]`` of the pair's; None keeps them.
        kind: how the file holds the pair.
    """

    tensor: str
    pair: LoraPair
    rows: tuple[int, ...] | None
    kind: Kind

    @property
    def a(self) -> Tensor:
        """Return A as the file holds it; that of an embedding is transposed."""
        return transpose(self.pair.a) if self.kind is Kind.EMBEDDING else self.pair.a


def as_table_names(base: BaseModel, arch: Arch) -> BaseModel:
    """Return a base with its tensors as the row of its architecture names them; itself where it does."""
    if base.tensors is None:
        return base
    named = {weight.tensor_name(base.hparams.experts > 0).rpartition(".")[2] for weight in arch.weights}
    found = dict(base.tensors)
    for joined, parts in FUSED_TENSORS.items():
        if (joined in named) == any(part in named for part in parts):
            continue  # the row has blocks of both kinds, or of neither
        for name, shape in base.tensors.items():
            known = _IN_BLOCK.fullmatch(name)
            if known is None or len(shape) < MATRIX_NDIM:
                continue
            block, kind = known.groups()
            if kind == joined and joined not in named:
                found |= _unfuse_shapes(name, _parts_of(block, joined), base)
            elif kind == parts[0] and joined in named:
                found |= _fuse_shapes(f"{block}.{joined}{WEIGHT}", _parts_of(block, joined), base)
    return base if found.keys() == base.tensors.keys() else replace(base, tensors=found)


def to_base_layout(places: Sequence[TensorSlot], base: BaseModel, seen: BaseModel) -> Iterator[TensorSlot]:
    """Yield places with the tensors that a base has.

    Args:
        places: with tensors as the row names them.
        base: as it is.
        seen: the same as `as_table_names` told it.
    """
    there = base.tensors
    if there is None or seen is base:
        yield from places
        return
    members: dict[str, list[TensorSlot]] = {}
    for place in places:
        members.setdefault(_joined_name(place.tensor, there), []).append(place)
    for name, those in members.items():
        if name:
            yield _join(name, those, seen)
            continue
        for place in those:
            yield from (place,) if place.tensor in there else _split_slot(place, there)


def _parts_of(block: str, joined: str) -> list[str]:
    """Return the names of the tensors that one tensor of a block has one below the other."""
    return [f"{block}.{part}{WEIGHT}" for part in FUSED_TENSORS[joined]]


def _unfuse_shapes(name: str, parts: Sequence[str], base: BaseModel) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes of the parts of a tensor; none where the heads do not fit it."""
    *front, rows, columns = (base.tensors or {})[name]
    own = base.hparams.at_layer(int(name.split(".")[1]))
    sizes = [rows // len(parts)] * len(parts)
    if "attn" in name:
        sizes = [heads * own.head_dim for heads in (own.heads, own.kv_heads, own.kv_heads)]
    if sum(sizes) != rows:
        return {}
    return {part: (*front, size, columns) for part, size in zip(parts, sizes, strict=True)}


def _fuse_shapes(name: str, parts: Sequence[str], base: BaseModel) -> Mapping[str, tuple[int, ...]]:
    """Return the shape of a tensor whose parts the base has one by one."""
    shapes = [(base.tensors or {}).get(part) for part in parts]
    known = [shape for shape in shapes if shape is not None]
    if len(known) != len(parts) or min(map(len, known)) < MATRIX_NDIM:
        return {}
    return {name: (*known[0][:-2], sum(shape[-2] for shape in known), known[0][-1])}


def _joined_name(tensor: str, there: Mapping[str, tuple[int, ...]]) -> str:
    """Return the tensor of the base that has a missing one as its part, empty where none has."""
    block, _, kind = tensor.removesuffix(WEIGHT).rpartition(".")
    names = (f"{block}.{joined}{WEIGHT}" for joined, parts in FUSED_TENSORS.items() if kind in parts)
    return "" if tensor in there else next((name for name in names if name in there), "")


def _join(name: str, places: Sequence[TensorSlot], seen: BaseModel) -> TensorSlot:
    """Return one place for several parts of a tensor."""
    block, _, kind = name.removesuffix(WEIGHT).rpartition(".")
    parts = _parts_of(block, kind)
    shapes = seen.tensors or {}
    starts = list(accumulate((shapes[part][-2] for part in parts), initial=0))
    pairs = [
        replace(
            place.pair,
            b=embed_rows(place.pair.b, place.rows, starts[parts.index(place.tensor)], starts[-1]),
        )
        for place in places
    ]
    return TensorSlot(name, sum_pairs(pairs), None, places[0].kind)


def _split_slot(place: TensorSlot, there: Mapping[str, tuple[int, ...]]) -> Iterator[TensorSlot]:
    """Yield a place for each part of a tensor that the base has one by one."""
    block, _, kind = place.tensor.removesuffix(WEIGHT).rpartition(".")
    order = place.rows or range(place.pair.b.shape[-2])
    start = 0
    for name in _parts_of(block, kind):
        end = start + there[name][-2]
        yield replace(place, tensor=name, rows=tuple(order[start:end]))
        start = end
