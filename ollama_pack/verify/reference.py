"""What a file must hold: an adapter's factors in llama.cpp's layout, as the witness states it.

`find_references` says which tensors there must be, and which pairs each is made of. A `Reference` makes the
numbers of its A and B when they are compared. Neither the plan of the file nor the mapping behind it is used.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from ollama_pack.arch.hparams import HParams
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import ProofError
from ollama_pack.gguf.tensor_data import Float32, Stored, TensorReader, to_float32
from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.adapter import Adapter, LoraPair
from ollama_pack.verify.axes import Axes, Matrix, queries_keys_values, upper_and_lower
from ollama_pack.verify.layouts import SAME_LAYOUT, Layout, experts_are_turned, layout_of
from ollama_pack.verify.tensor_names import EMBEDDING_NAME, ModulePath, parse_module, tensor_names

_JOINED: dict[str, tuple[tuple[str, ...], Axes]] = {
    "attn_qkv": (("attn_q", "attn_k", "attn_v"), queries_keys_values),
    "ffn_gate_up_exps": (("ffn_gate_exps", "ffn_up_exps"), upper_and_lower),
}
"""A tensor of some bases → the tensors that other bases have in its place, and how it is split into them."""

_Side = tuple[Stored, str]
"""A or B as it is stored, and its dtype."""


class _Sides(NamedTuple):
    """The A, or the B, of several shares, all of one dtype."""

    stored: Sequence[Stored]
    dtype: str

    def zeros(self, shape: tuple[int, ...]) -> Stored:
        """Return zeros of the same dtype."""
        return np.zeros(shape, self.stored[0].dtype)


def _of_one_dtype(sides: Sequence[_Side]) -> _Sides:
    """Return the sides as they are stored, or as float32 if they are of several dtypes."""
    dtypes = {dtype for _, dtype in sides}
    if len(dtypes) == 1:
        return _Sides([numbers for numbers, _ in sides], dtypes.pop())
    return _Sides([to_float32(*side) for side in sides], "F32")


class Placement(NamedTuple):
    """How a pair goes into one tensor, which is the same for all experts of a layer.

    Attributes:
        layout: the layout of the pair's module.
        base: the sizes of the layer.
        take_rows: called with what each tensor of the module holds; returns the rows of this tensor.
        section: the place of these rows among those of a joined tensor, or -1 if nothing is joined.
        turned: whether PEFT trained the transposed ΔW.
        size: the rows and columns of the weight, which some methods need to make A and B; 0 if unknown.
    """

    layout: Layout
    base: HParams
    take_rows: Callable[[Sequence[Matrix]], Matrix]
    section: int = -1
    turned: bool = False
    size: tuple[int, int] = (0, 0)

    def laid_out(self, side_a: _Side, side_b: _Side, scale: float) -> tuple[_Side, _Side]:
        """Return A and B of a pair in llama.cpp's layout, for the weight as a whole times `scale`."""
        (a, a_type), (b, b_type) = side_a, side_b
        if self.turned:
            a, a_type, b, b_type = b.swapaxes(-1, -2), b_type, a.swapaxes(-1, -2), a_type
        a = self.layout.of_columns(a, self.base)
        b, b_type = self._multiplied(b, b_type, scale)
        return (a, a_type), (self.take_rows(self.layout.of_rows(b, self.base)), b_type)

    def _multiplied(self, b: Stored, dtype: str, scale: float) -> tuple[Stored, str]:
        """Return B multiplied by `scale`, and by the numbers of config.json that the layout names."""
        if self.layout.factor is None and scale == 1.0:
            return b, dtype
        factor = np.multiply(1.0 if self.layout.factor is None else self.layout.factor(self.base), scale)
        with np.errstate(over="ignore", invalid="ignore"):  # a scale that is not finite fails the proof later
            if factor.ndim == 0 and np.float32(factor) == 1.0:
                return b, dtype
            return (to_float32(b, dtype) * factor.astype(np.float64)).astype(np.float32), "F32"


class Share(NamedTuple):
    """The part of a tensor's A and B that is made of one pair of the adapter.

    Attributes:
        pair: the pair as the adapter has it.
        expert: the number of the only expert that the pair belongs to, or -1.
        placement: how it goes into the tensor.
    """

    pair: LoraPair
    expert: int
    placement: Placement

    def sides(self) -> tuple[Tensor, Tensor]:
        """Return A and B as they were trained."""
        return (self.pair.a, self.pair.b) if self.pair.fit is None else self.pair.fit(*self.placement.size)


class Reference(NamedTuple):
    """One weight that a file must adapt.

    Attributes:
        tensor: the GGUF name of the weight.
        shares: what each pair gives to it, in the order of the adapter.
        experts: the number of matrices in the tensor, or 0 if it has no experts.
        starts: the first row of each section of a joined tensor, and the end of the last one; empty if
            nothing is joined.
    """

    tensor: str
    shares: tuple[Share, ...]
    experts: int = 0
    starts: tuple[int, ...] = ()

    @property
    def is_embedding(self) -> bool:
        """Return whether tokens are looked up in it: the file has its A transposed."""
        return self.tensor == f"{EMBEDDING_NAME}.weight"

    @property
    def differs(self) -> bool:
        """Return whether llama.cpp stores the weight differently from Hugging Face."""
        return bool(self.starts) or any(
            share.placement.layout is not SAME_LAYOUT or share.placement.turned or share.expert >= 0
            for share in self.shares
        )

    def factors(self, source: TensorReader, scale: float) -> tuple[Float32, Float32]:
        """Return A and B as the file must hold them, if llama.cpp multiplies their product with `scale`."""
        sides = source.read_all([side for share in self.shares for side in share.sides()])
        made = [
            share.placement.laid_out(a, b, share.pair.scale / scale)
            for share, a, b in zip(self.shares, sides[::2], sides[1::2], strict=True)
        ]
        if self.starts or self.shares[0].expert >= 0:
            return self._assemble(made)
        a, b = (to_float32(*side) for side in made[0])
        return (a.T if self.is_embedding else a), b

    def _assemble(self, made: Sequence[tuple[_Side, _Side]]) -> tuple[Float32, Float32]:
        """Return the A and B that hold those of all shares; what none of them fills is zero.

        Single experts share their ranks. Sections of a joined tensor have ranks of their own, side by side
        in the order in which the adapter names them.
        """
        ranks: dict[int, int] = {}
        sides_a, sides_b = (_of_one_dtype(sides) for sides in zip(*made, strict=True))
        for share, a in zip(self.shares, sides_a.stored, strict=True):
            section = share.placement.section
            ranks[section] = max(ranks.get(section, 0), a.shape[-2])
        first_rank = dict(zip(ranks, accumulate(ranks.values(), initial=0), strict=False))
        matrices, rank = self.experts or 1, sum(ranks.values())
        rows = self.starts[-1] if self.starts else sides_b.stored[0].shape[-2]
        whole_a = sides_a.zeros((matrices, rank, sides_a.stored[0].shape[-1]))
        whole_b = sides_b.zeros((matrices, rows, rank))
        for share, a, b in zip(self.shares, sides_a.stored, sides_b.stored, strict=True):
            expert = share.expert if share.expert >= 0 else slice(None)
            section = share.placement.section
            start, rank = (self.starts[section] if self.starts else 0), first_rank[section]
            whole_a[expert, rank : rank + a.shape[-2]] = a
            whole_b[expert, start : start + b.shape[-2], rank : rank + b.shape[-1]] = b
        factors = to_float32(whole_a, sides_a.dtype), to_float32(whole_b, sides_b.dtype)
        return factors if self.experts else (factors[0][0], factors[1][0])


def find_references(adapter: Adapter, base: BaseModel) -> tuple[Reference, ...]:
    """Return every weight that a file of an adapter must adapt, in the order of the adapter.

    Raises:
        ProofError: the witness has no statement of a module.
    """
    shares: dict[str, list[Share]] = {}
    placements: dict[tuple[object, ...], Sequence[tuple[str, Placement]]] = {}  # alike for all experts
    for pair in adapter.pairs:
        path = parse_module(pair.module)
        key = (path.block, path.words, pair.a.shape, pair.b.shape)
        if key not in placements:
            placements[key] = tuple(_placements_of(pair, path, adapter, base))
        for tensor, placement in placements[key]:
            shares.setdefault(tensor, []).append(Share(pair, path.expert, placement))
    return tuple(
        Reference(tensor, tuple(those), _experts_of(tensor, those, base), _starts_of(tensor, those, base))
        for tensor, those in shares.items()
    )


def _placements_of(
    pair: LoraPair, path: ModulePath, adapter: Adapter, base: BaseModel
) -> Iterator[tuple[str, Placement]]:
    """Yield the tensors that a pair of this shape goes into, and how.

    Raises:
        ProofError: the witness has no statement of the module.
    """
    own = base.hparams.at_layer(path.block)
    names = tensor_names(path, own)
    if not names:
        raise ProofError(
            f"The proof does not know where llama.cpp holds {pair.module} of {own.arch}.",
            where=adapter.weights,
            hint="report it: ollama_pack/verify/tensor_names.py lacks the module",
        )
    rows, columns = _written_shape(names, base, own)
    lookup = names[0] == f"{EMBEDDING_NAME}.weight"
    wanted = (columns, rows) if lookup else (rows, columns)  # PEFT takes an embedding for hidden × vocabulary
    layout = layout_of(own.arch, path.words[-1], len(names))
    parameter = len(pair.b.shape) > 2
    trained = (pair.b.shape[-2], pair.a.shape[-1])
    turned = (parameter or lookup) and trained != wanted and trained == wanted[::-1]
    if parameter and trained[0] == trained[1]:
        turned = experts_are_turned(own.arch, adapter.config)
    for part, name in enumerate(names):
        for tensor, section, cut in _in_base(name, base):
            yield tensor, Placement(layout, own, partial(_take, part, cut, own), section, turned, wanted)


def _take(part: int, cut: tuple[Axes, int] | None, base: HParams, held: Sequence[Matrix]) -> Matrix:
    """Return the rows of one tensor of a module, or of the part of it that is a tensor in this base."""
    if cut is None:
        return held[part]
    split, place = cut
    return split(held[part], base)[place]


def _in_base(name: str, base: BaseModel) -> Iterator[tuple[str, int, tuple[Axes, int] | None]]:
    """Yield the tensors that a base has for one of the converter's: itself, a joined one, or its parts.

    Each comes with the section of a joined tensor, or -1, and with how the parts are split, or None.
    """
    there = base.tensors
    block, _, kind = name.removesuffix(".weight").rpartition(".")
    if there is not None and name not in there:
        for joined, (parts, split) in _JOINED.items():
            whole, pieces = f"{block}.{joined}.weight", [f"{block}.{part}.weight" for part in parts]
            if kind in parts and whole in there:
                yield whole, parts.index(kind), None
                return
            if kind == joined and all(piece in there for piece in pieces):
                yield from ((piece, -1, (split, place)) for place, piece in enumerate(pieces))
                return
    yield name, -1, None


def _written_shape(names: Sequence[str], base: BaseModel, own: HParams) -> tuple[int, int]:
    """Return rows and columns of a weight that some tensors hold together, 0 if they are unknown."""
    shapes = [(base.tensors or {}).get(name, ())[-2:] for name in names]
    if all(len(shape) == 2 for shape in shapes):
        return sum(shape[0] for shape in shapes), shapes[0][1]
    kind = names[0].removesuffix(".weight").rpartition(".")[2]
    if kind == EMBEDDING_NAME:
        return own.vocab, own.hidden
    if kind.endswith("_exps"):
        inner = own.expert_feed_forward
        double = len(names) == 2 or kind == "ffn_gate_up_exps"
        return (own.hidden, inner) if "down" in kind else (inner * (2 if double else 1), own.hidden)
    queries, keys = own.heads * own.head_dim, own.kv_heads * own.head_dim
    widths = {"attn_output": queries, "ffn_down": own.feed_forward}
    rows = {
        "attn_q": queries,
        "attn_k": keys,
        "attn_v": keys,
        "attn_qkv": queries + 2 * keys,
        "ffn_gate": own.feed_forward,
        "ffn_up": own.feed_forward,
    }
    kinds = [name.removesuffix(".weight").rpartition(".")[2] for name in names]
    return sum(rows.get(each, own.hidden) for each in kinds), widths.get(kind, own.hidden)


def _experts_of(tensor: str, shares: Sequence[Share], base: BaseModel) -> int:
    """Return how many experts a tensor has, or 0 if it has none."""
    if len(shares[0].pair.b.shape) > 2:
        return shares[0].pair.b.shape[0]
    shape = (base.tensors or {}).get(tensor, ())
    if shares[0].expert < 0:
        return 0
    return shape[0] if len(shape) > 2 else base.hparams.experts


def _starts_of(tensor: str, shares: Sequence[Share], base: BaseModel) -> tuple[int, ...]:
    """Return where the sections of a joined tensor start and the last one ends, or () if none is joined."""
    if shares[0].placement.section < 0 or base.tensors is None:
        return ()
    _, split = _JOINED[tensor.removesuffix(".weight").rpartition(".")[2]]
    sections = split(np.empty((base.tensors[tensor][-2], 1), np.bool_), shares[0].placement.base)
    return tuple(accumulate((len(section) for section in sections), initial=0))
