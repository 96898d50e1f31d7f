"""Plans what PEFT itself merges: each weight of the base goes to PEFT as a module of its own, and comes back.

The merged weight takes the place of the base's rows, as a weight that was trained whole does.
"""

from collections.abc import Iterator, Mapping, Sequence
from io import FileIO
from typing import NamedTuple

import numpy as np

from ollama_pack.arch.spec import Kind, Target, find_targets
from ollama_pack.arch.table import require_arch
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import UnsupportedError, bullet_list, fold_numbered_names
from ollama_pack.gguf.blocks import can_read_blocks, read_blocks, type_name
from ollama_pack.gguf.split import read_parts
from ollama_pack.gguf.tensor_data import Float32
from ollama_pack.gguf.tensor_rows import Index
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.adapter import Adapter, PeftModule, layer_of
from ollama_pack.lora.beside import RowRole, RowValues, row_places
from ollama_pack.lora.hints import AS_LORA, MERGE_HINT
from ollama_pack.lora.peft.by_peft import PEFT_METHODS
from ollama_pack.lora.peft.merge_process import PeftLayer, PeftQuestion, PeftWeights
from ollama_pack.lora.shape_check import BaseView
from ollama_pack.lora.untied import EMBEDDINGS, HEAD_TENSOR
from ollama_pack.merge.base_tensor import BaseTensor, tensors_of_base
from ollama_pack.merge.rows import read_rows, row_blocks

TRANSPOSED = frozenset({"gpt2"})
"""Architectures in whose blocks transformers stores linear weights as in × out (Conv1D)."""


DRAWN_IN_ORDER = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The modules of a layer of Llama and its kin, in the order in which transformers makes them."""


class Place(NamedTuple):
    """Where rows of a module's weight lie in the base.

    Attributes:
        tensor: the GGUF name of the tensor.
        rows: the row of the weight for each row of the tensor, or -1 if there is none for it.
        columns: the column of the weight for each column of the tensor, or None if they keep their order.
    """

    tensor: str
    rows: Index
    columns: Index | None


def plan_by_peft(adapter: Adapter, base: BaseModel) -> tuple[RowValues, ...]:
    """Return what PEFT has to merge, as rows of the tensors of the base; PEFT is not asked yet.

    Args:
        adapter: the adapter.
        base: its base, which is a GGUF file.

    Raises:
        UnsupportedError: PEFT is not installed, or the base has no place for one of the modules.
    """
    if not adapter.by_peft:
        return ()
    assert base.gguf is not None, "only a file can be merged into"
    homes, homeless = {}, []
    for module in _in_order(adapter):
        places = tuple(_homes_of(module, adapter, base))
        layer = _layer(module, places, base)
        homes[module.module] = layer, places
        if not places or any(place.tensor not in (base.tensors or {}) for place in places):
            homeless.append(module.module)
    if homeless:
        raise UnsupportedError(
            bullet_list("The base has no tensor for what was trained:", fold_numbered_names(homeless)),
            where=adapter.weights,
            hint=MERGE_HINT,
            code="not-mergeable",
        )
    held = {tensor.name: tensor for part in read_parts(base.gguf) for tensor in tensors_of_base(part)}
    if HEAD_TENSOR not in held and EMBEDDINGS in held:
        held[HEAD_TENSOR] = held[EMBEDDINGS]  # merging makes the head of a tied base of the embeddings
    reader = _BaseWeights({layer.name: places for layer, places in homes.values()}, held)
    made = PeftWeights(adapter, [layer for layer, _ in homes.values()], PeftQuestion.MERGE, reader.fill)
    row = PEFT_METHODS[str(adapter.config["peft_type"]).upper()]
    return tuple(
        values
        for layer, places in homes.values()
        for values in _values(layer, places, made, weight=row.weight, bias=row.bias)
    )


def _in_order(adapter: Adapter) -> Sequence[PeftModule]:
    """Return the modules in the order of the model, on which the random numbers of some methods depend.

    Raises:
        UnsupportedError: the order is needed and not known.
    """
    words = {module.module: module.module.rpartition(".")[2] for module in adapter.by_peft}
    unknown = [module for module, word in words.items() if word not in DRAWN_IN_ORDER]
    if unknown and str(adapter.config["peft_type"]).upper() == "TINYLORA":
        raise UnsupportedError(
            bullet_list(
                "The order is unknown in which PEFT drew random projections for these modules:", unknown
            ),
            where=adapter.weights,
            hint=AS_LORA,
            code="not-mergeable",
        )
    ranks = {word: rank for rank, word in enumerate(DRAWN_IN_ORDER)}
    return sorted(
        adapter.by_peft,
        key=lambda each: (layer_of(each.module) or 0, ranks.get(words[each.module], len(ranks))),
    )


def _bias_of(tensor: str) -> str:
    """Return the GGUF name of the bias that stands beside a weight."""
    return f"{tensor.removesuffix('weight')}bias"


def _targets(module: PeftModule, base: BaseModel) -> tuple[Target, ...]:
    """Return the tensors of the base that hold the weight of a module."""
    return find_targets(require_arch(base.hparams.arch), module.module, mixture=base.hparams.experts > 0)


def _layer(module: PeftModule, places: Sequence[Place], base: BaseModel) -> PeftLayer:
    """Return the layer that PEFT puts the adapter on, with the shape that the base has."""
    targets = _targets(module, base)
    if not targets:
        return PeftLayer(module.trained, "linear", (0, 0), bias=False)
    lookup = targets[0].weight.kind is Kind.EMBEDDING
    out, width = BaseView(base).expected_shape(targets)
    turned = base.hparams.arch in TRANSPOSED and targets[0].block >= 0
    bias = any(_bias_of(place.tensor) in (base.tensors or {}) for place in places)
    kind = "embedding" if lookup else "conv1d" if turned else "linear"
    return PeftLayer(module.trained, kind, (width, out) if lookup or turned else (out, width), bias)


def _homes_of(module: PeftModule, adapter: Adapter, base: BaseModel) -> Iterator[Place]:
    """Yield where the base has the rows of a module's weight."""
    targets = _targets(module, base)
    if not targets:
        return
    out, width = BaseView(base).expected_shape(targets)
    if targets[0].weight.kind is Kind.EMBEDDING:
        out, width = width, out
    yield from (Place(*place) for place in row_places(module.module, out, width, adapter, base))


def _values(
    layer: PeftLayer, places: Sequence[Place], made: PeftWeights, *, weight: bool, bias: bool
) -> Iterator[RowValues]:
    """Yield the rows of the base that the merged weight and bias of a module replace."""
    out, width = reversed(layer.shape) if layer.kind == "conv1d" else layer.shape
    source = made.adapter.weights
    if weight:
        whole = LazyTensor(source, layer.name, (out, width), (), lambda: made.made(layer).weight)
        yield from (
            RowValues(place.tensor, RowRole.REPLACE, whole, place.rows, place.columns) for place in places
        )
    if bias and layer.bias:
        vector = LazyTensor(source, layer.name, (out,), (), lambda: made.made(layer).bias)
        yield from (
            RowValues(_bias_of(place.tensor), RowRole.REPLACE, vector, place.rows) for place in places
        )


class _BaseWeights:
    """Reads weights of the base in the layout that PEFT knows.

    Args:
        places: the places of each module, by its name in the adapter's files.
        tensors: the tensors of the base.
    """

    def __init__(self, places: Mapping[str, Sequence[Place]], tensors: Mapping[str, BaseTensor]) -> None:
        self._places, self._tensors = places, tensors

    def fill(self, layer: PeftLayer, weight: Float32) -> Sequence[float] | None:
        """Write the weight of a layer into an array of out × in, and return its bias.

        Raises:
            InputError: the base cannot be read.
        """
        bias = np.zeros(len(weight), np.float32)
        for place in self._places[layer.name]:
            tensor = self._tensors[place.tensor]
            self._copy(tensor, place, weight)
            if layer.bias:
                self._copy(self._tensors[_bias_of(place.tensor)], place._replace(columns=None), bias[:, None])
        return bias.tolist() if layer.bias else None

    @staticmethod
    def _copy(tensor: BaseTensor, place: Place, into: Float32) -> None:
        """Write the rows of a tensor to their places in a weight."""
        if not can_read_blocks(tensor.kind):
            raise UnsupportedError(
                f"ollama-pack cannot read the numbers of a tensor of the type {type_name(tensor.kind)}.",
                where=f"{tensor.path}: {tensor.name}",
                hint="--base with another quantisation of the model",
                code="unknown-type",
            )
        columns = tensor.shape[-1] if len(tensor.shape) > 1 else 1
        with FileIO(tensor.path, "rb") as file:
            for block in row_blocks(tensor):
                numbers = read_blocks(read_rows(tensor, block, file), tensor.kind, columns)
                rows = place.rows[block.start : block.end]
                there = np.flatnonzero(rows >= 0)
                if place.columns is None:
                    into[rows[there]] = numbers[there]
                else:
                    into[np.ix_(rows[there], place.columns)] = numbers[there]
