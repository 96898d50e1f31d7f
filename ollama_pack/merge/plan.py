"""Plans a merged GGUF: which tensors of the base change, by what, and in which type they are written.

Nothing is read here but headers. The change of a tensor is the product of two factors in llama.cpp's layout,
as the plan of the GGUF LoRA file has them, so a merged file and a separate adapter cannot differ in meaning.
See "A merged file is the base with its touched tensors rewritten" in docs/decisions.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ollama_pack.errors import InputError, UnsupportedError, UsageError
from ollama_pack.gguf.blocks import PLAIN, can_read_blocks, can_write_blocks, type_name
from ollama_pack.gguf.code_layouts import CODE_LAYOUTS
from ollama_pack.gguf.ggml_blocks import GGML_WRITES
from ollama_pack.gguf.ggml_types import Q8_0, nbytes_of
from ollama_pack.gguf.reader import GgufFile
from ollama_pack.gguf.writer import pack_value
from ollama_pack.lora.beside import RowValues
from ollama_pack.lora.embedding_rows import VOCABULARY_TENSORS
from ollama_pack.lora.plan import LORA_A, LORA_B, LoraPlan, LoraTensor
from ollama_pack.lora.replication import copies_of
from ollama_pack.lora.untied import HEAD_TENSOR
from ollama_pack.merge.base_tensor import BaseTensor, tensors_of_base
from ollama_pack.merge.keys import MergeLabels, merged_keys
from ollama_pack.merge.size import AUTO_TYPE, MERGE_TYPES, SAME_TYPE, kind_if_merged
from ollama_pack.merge.vocabulary import vocabulary_keys

if TYPE_CHECKING:
    from ollama_pack.merge.frontier import SizeFrontier

EMBEDDING_TENSOR = "token_embd.weight"
"""The tensor for which llama.cpp expects A and B in exchanged roles, since tokens are looked up in it."""

ALIGNMENT_KEY = "general.alignment"
"""The key of the alignment of tensors. A merged file has GGUF's default alignment and lacks this key."""


@dataclass(frozen=True, slots=True)
class TensorDelta:
    """What is added to a tensor of the base: ``scale`` · left · right, for each expert if there are experts.

    Attributes:
        left: the factor with the rows of the tensor, ``out × rank``.
        right: the factor with its columns, ``rank × in``.
        scale: the number that the product is multiplied by.
        lookup: whether the factors are those of an embedding: `left` is stored as A, `right` as the transpose
            of B.
    """

    left: LoraTensor
    right: LoraTensor
    scale: float
    lookup: bool = False


@dataclass(frozen=True, slots=True)
class MergedTensor:
    """A tensor of the merged file.

    Attributes:
        base: the tensor of the base that it is made of.
        kind: the ggml type that it is written in.
        change: the ΔW that is added to it, or None if it has none.
        beside: what was trained of its rows besides ΔW, such as whole rows or the magnitudes of DoRA.
        name: its name in the merged file, if it differs, as for the head of a tied base; empty otherwise.
        rows: its number of rows, if the vocabulary was resized; 0 for that of the base.
    """

    base: BaseTensor
    kind: int
    change: TensorDelta | None = None
    beside: tuple[RowValues, ...] = ()
    name: str = ""
    rows: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Return its shape in the merged file."""
        return (self.rows, *self.base.shape[1:]) if self.rows else self.base.shape

    @property
    def is_touched(self) -> bool:
        """Return whether its numbers differ from those of the base; if not, its bytes are copied."""
        return self.change is not None or bool(self.beside)

    @property
    def keeps_scales(self) -> bool:
        """Return whether it changes and stays in its quantised type: its codes move, its scales stay."""
        return self.is_touched and self.kind == self.base.kind and self.kind in CODE_LAYOUTS

    @property
    def nbytes(self) -> int:
        """Return the size in bytes that it has in the merged file."""
        return nbytes_of(self.kind, self.shape)


@dataclass(frozen=True, slots=True)
class MergePlan:
    """Everything that goes into a merged GGUF.

    Attributes:
        header: the header of the base, or of its first part.
        tensors: the tensors, in the order of the base.
        metadata: the keys that are set, each with a string or a number.
        dropped: the keys of the base that are left out.
        packed: key → its bytes, for the keys of vocabulary and layers that differ from the base's.
        frontier: how much files of other sizes keep, if the types were chosen for a size; None otherwise.
    """

    header: GgufFile
    tensors: tuple[MergedTensor, ...]
    metadata: Mapping[str, str | int] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    packed: Mapping[str, bytes] = field(default_factory=dict)
    frontier: "SizeFrontier | None" = None

    @property
    def is_lossy(self) -> bool:
        """Return whether a tensor that changes is written in a type of fewer than eight bits."""
        return any(tensor.kind not in (*PLAIN, Q8_0) for tensor in self.touched)

    @property
    def touched(self) -> tuple[MergedTensor, ...]:
        """Return the tensors that change."""
        return tuple(tensor for tensor in self.tensors if tensor.is_touched)


def plan_merge(
    parts: Sequence[GgufFile],
    lora: LoraPlan,
    merge_type: "str | Mapping[str, int]",
    beside: Sequence[RowValues] = (),
    *,
    labels: MergeLabels | None = None,
) -> MergePlan:
    """Return what the merged file of a base and an adapter holds.

    Args:
        parts: the headers of the base: one, or one for each part of a split model.
        lora: the plan of the GGUF LoRA file of the adapter for this base.
        merge_type: a key of `MERGE_TYPES`, or the ggml type of each tensor that changes, by name.
        beside: what was trained besides ΔW.
        labels: what the file records of its name and its adapter.

    Raises:
        UsageError: there is no such `merge_type`.
        UnsupportedError: a tensor of the base has a type that cannot be read, or not written.
        InputError: the base has no tensor of a name that the adapter changes.
    """
    if isinstance(merge_type, str) and merge_type not in MERGE_TYPES:
        known = ", ".join(MERGE_TYPES)
        raise UsageError(f"{merge_type!r} is not a merge type; the types are {known}.", code="bad-option")
    changes, rows = dict(changes_of(lora)), _by_tensor(beside)
    labels = labels or MergeLabels()
    named = _sources(parts, labels)
    missing = (changes.keys() | rows.keys()) - {each for each, _ in named}
    tensors = tuple(
        _in_place(
            _merged(tensor, changes.get(each), rows.get(each, ()), _type_of(merge_type, each)), each, labels
        )
        for each, tensor in named
    )
    if missing:
        raise InputError(
            f"The base has no tensor {sorted(missing)[0]}, which the adapter changes.",
            where=parts[0].path,
            hint="--base with a GGUF file that llama.cpp's converter wrote",
            code="does-not-fit",
        )
    dropped = frozenset(key for key in parts[0].metadata if key.startswith("split.") or key == ALIGNMENT_KEY)
    packed = _packed_keys(parts[0], labels)
    metadata = merged_keys(parts[0], lora, tensors, labels)
    return MergePlan(parts[0], tensors, metadata, dropped, packed)


def _sources(parts: Sequence[GgufFile], labels: MergeLabels) -> list[tuple[str, BaseTensor]]:
    """Return the name of each tensor of the merged file, with the tensor of the base that it is made of."""
    found = [tensor for part in parts for tensor in tensors_of_base(part)]
    named = [(name, tensor) for tensor in found for name in copies_of(tensor.name, labels.layers)]
    if labels.own_head:
        named += [(HEAD_TENSOR, tensor) for tensor in found if tensor.name == EMBEDDING_TENSOR]
    return named


def _packed_keys(header: GgufFile, labels: MergeLabels) -> dict[str, bytes]:
    """Return the keys of the vocabulary and of the layers, if they are not those of the base."""
    packed = vocabulary_keys(header, labels.vocabulary) if labels.vocabulary is not None else {}
    if labels.layers:
        count = f"{header.text('general.architecture')}.block_count"
        packed[count] = pack_value(count, len(labels.layers))
    return packed


def _in_place(tensor: MergedTensor, name: str, labels: MergeLabels) -> MergedTensor:
    """Return a tensor under its name in the merged file, with the rows that it has there.

    Raises:
        UnsupportedError: it has new rows, and keeps a type that cannot be written.
    """
    change = labels.vocabulary
    rows = change.size if change is not None and name in VOCABULARY_TENSORS else 0
    found = replace(tensor, name=name, rows=rows)
    if rows > tensor.base.shape[0] and not (can_write_blocks(found.kind) or found.kind in GGML_WRITES):
        raise _not_written(found.base)
    return found


def changes_of(lora: LoraPlan) -> Iterator[tuple[str, TensorDelta]]:
    """Yield each tensor that a GGUF LoRA file changes, with the change, as llama.cpp applies it.

    llama.cpp multiplies B·A by alpha / rank, with the rank that B has in the file.
    """
    factors = {tensor.name: tensor for tensor in lora.tensors}
    for name, a in factors.items():
        if not name.endswith(LORA_A):
            continue
        tensor = name.removesuffix(LORA_A)
        b = factors[tensor + LORA_B]
        scale = lora.alpha / b.shape[-1]
        if tensor == EMBEDDING_TENSOR:
            yield tensor, TensorDelta(left=a, right=b, scale=scale, lookup=True)
        else:
            yield tensor, TensorDelta(left=b, right=a, scale=scale)


def _by_tensor(beside: Sequence[RowValues]) -> Mapping[str, tuple[RowValues, ...]]:
    """Return what was trained besides ΔW, by tensor."""
    found: dict[str, tuple[RowValues, ...]] = {}
    for values in beside:
        found[values.tensor] = (*found.get(values.tensor, ()), values)
    return found


def _type_of(merge_type: str | Mapping[str, int], name: str) -> str | int:
    """Return the merge type or the ggml type for one tensor; a tensor without a choice gets ``auto``."""
    return merge_type if isinstance(merge_type, str) else merge_type.get(name, AUTO_TYPE)


def _merged(
    base: BaseTensor, change: TensorDelta | None, beside: tuple[RowValues, ...], merge_type: str | int
) -> MergedTensor:
    """Return a tensor of the merged file, in the type that was chosen."""
    if change is None and not beside:
        return MergedTensor(base, base.kind)
    if not can_read_blocks(base.kind):
        raise UnsupportedError(
            f"ollama-pack cannot read the numbers of a tensor of the type {type_name(base.kind)}.",
            where=f"{base.path}: {base.name}",
            hint="--base with another quantisation of the model",
            code="unknown-type",
        )
    kind = (
        _target_type(base, merge_type) if len(base.shape) > 1 else base.kind
    )  # llama.cpp adds vectors as F32
    return MergedTensor(base, kind, change, beside)


def _target_type(base: BaseTensor, merge_type: str | int) -> int:
    """Return the ggml type in which a touched tensor is written."""
    writes = base.kind in CODE_LAYOUTS or base.kind in GGML_WRITES or can_write_blocks(base.kind)
    if merge_type == SAME_TYPE and not writes:
        raise _not_written(base)
    return kind_if_merged(merge_type, base.kind, base.shape[-1])


def _not_written(base: BaseTensor) -> UnsupportedError:
    """Return the error for a tensor that would have to be written in a type that can only be read."""
    return UnsupportedError(
        f"ollama-pack can read a tensor of the type {type_name(base.kind)}, but not write it.",
        where=f"{base.path}: {base.name}",
        hint="--merge-type auto",
        code="type-not-written",
    )
