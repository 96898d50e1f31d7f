"""What an adapter has trained beside A and B, which a merged model holds and no GGUF LoRA file does.

Whole weights, norms, biases, rows of the embedding, and the magnitudes of DoRA are one thing here: numbers
for some rows of a tensor of the base, and what they do there (`RowRole`). To find where the rows go, a pair
whose B numbers the rows and whose A numbers the columns is sent through the mapping of A and B. See "What is
trained beside A and B is rows of a tensor" in docs/decisions.md.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ollama_pack.arch.spec import Kind, dimension, find_targets
from ollama_pack.arch.table import require_arch
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import InputError, UnsupportedError, bullet_list, fold_numbered_names
from ollama_pack.gguf.tensor_data import Float32, TensorReader, as_index
from ollama_pack.gguf.tensor_names import find_tensor_name
from ollama_pack.gguf.tensor_rows import Index
from ollama_pack.gguf.tensors import LazyTensor, Tensor
from ollama_pack.lora.adapter import Adapter, LoraPair, TrainedTensor
from ollama_pack.lora.hints import MERGE_HINT
from ollama_pack.lora.peft.extra_tensors import NORMS
from ollama_pack.lora.tensor_mapping import map_pairs_to_tensors

NORM_OFFSETS: Mapping[str, float] = {
    **dict.fromkeys(("llama", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "olmo2", "granite"), 0.0),
    **dict.fromkeys(("smollm3", "mistral3", "gpt2", "phi2", "starcoder2", "stablelm", "gptneox"), 0.0),
    **dict.fromkeys(("gemma", "gemma2", "gemma3", "nemotron"), 1.0),
}
"""Architecture → the number that llama.cpp's converter adds to the weights of norms; it keeps their order.
Only architectures that tests/reference/record_merged.py records are listed."""

TOKEN_INDICES = ("trainable_token_indices", "token_indices")
"""The settings that list the ids of trained tokens: LoRA's, and that of the method TRAINABLE_TOKENS."""


class RowRole(Enum):
    """What the numbers do to the rows of a tensor; they are applied in this order, ΔW after the first."""

    REPLACE = "they take the place of the rows"
    LENGTH = "each row, with ΔW in it, gets this Euclidean length (DoRA)"
    ADD = "they are added"


class RowValues(NamedTuple):
    """Numbers for rows of a tensor of the base.

    Attributes:
        tensor: the GGUF name of the tensor.
        role: what the numbers do to the rows.
        source: the numbers, rows × columns; a vector counts as one column.
        rows: the row of the source for each row of the tensor, or -1 if there is none for it.
        columns: the column of the source for each column of the tensor, or None if they keep their order.
        factor: the number by which the source is multiplied.
        offset: the number that is added to the product.
    """

    tensor: str
    role: RowRole
    source: Tensor
    rows: Index
    columns: Index | None = None
    factor: float = 1.0
    offset: float = 0.0


def plan_beside(adapter: Adapter, base: BaseModel) -> tuple[RowValues, ...]:
    """Return what an adapter has trained beside A and B, as rows of the tensors of its base.

    Raises:
        UnsupportedError: the base has no place for one of the tensors.
        InputError: a shape does not fit the base.
    """
    found: list[RowValues] = []
    homeless, misfits = [], []
    for trained in adapter.beside:
        values = list(_PLACES[trained.rule](trained, adapter, base))
        if not values or any(each.tensor not in (base.tensors or {}) for each in values):
            homeless.append(trained.tensor.name)
        misfits += [f"{trained.tensor.name} and {each.tensor}" for each in values if not _fits(each, base)]
        found += values
    if homeless:
        raise UnsupportedError(
            bullet_list("The base has no tensor for what was trained:", fold_numbered_names(homeless)),
            where=adapter.weights,
            hint=MERGE_HINT,
            code="not-mergeable",
        )
    if misfits:
        raise InputError(
            bullet_list(f"The adapter does not fit the base ({base.origin}):", fold_numbered_names(misfits)),
            where=adapter.weights,
            hint="--base with the model that the adapter was trained on",
            code="does-not-fit",
        )
    return tuple(found)


def _fits(values: RowValues, base: BaseModel) -> bool:
    """Return whether numbers have the size of their tensor; if the base lacks the tensor, return True."""
    shape = (base.tensors or {}).get(values.tensor)
    if shape is None:
        return True
    rows, columns = shape[-2:] if len(shape) > 1 else (*shape, 1)
    given = values.source.shape[1] if len(values.source.shape) > 1 else 1
    return len(values.rows) == rows and given == (1 if values.role is RowRole.LENGTH else columns)


def _norm(trained: TrainedTensor, _adapter: Adapter, base: BaseModel) -> Iterator[RowValues]:
    """Yield the place of the weight of a norm."""
    name = _norm_name_of(trained.module, base)
    if name and len(trained.tensor.shape) == 1:
        rows, offset = np.arange(trained.tensor.shape[0]), NORM_OFFSETS[base.hparams.arch]
        yield RowValues(f"{name}.weight", RowRole.REPLACE, trained.tensor, rows, offset=offset)


def _norm_name_of(module: str, base: BaseModel) -> str:
    """Return llama.cpp's name of a norm, or "" for another module or an architecture without an offset."""
    if base.hparams.arch not in NORM_OFFSETS or not NORMS.search(module):
        return ""
    return find_tensor_name(base.hparams.arch, base.hparams.blocks, module)


def _whole_matrix(trained: TrainedTensor, adapter: Adapter, base: BaseModel) -> Iterator[RowValues]:
    """Yield the places of the rows of a whole linear weight, a head or an embedding."""
    if len(trained.tensor.shape) != 2 or base.hparams.arch == "gpt2":  # which stores them transposed
        return
    out, width = trained.tensor.shape
    for name, rows, columns in row_places(trained.module, out, width, adapter, base):
        yield RowValues(name, RowRole.REPLACE, trained.tensor, rows, columns)


def _tokens(trained: TrainedTensor, adapter: Adapter, base: BaseModel) -> Iterator[RowValues]:
    """Yield the place of the rows of the embedding, or of the head, that were trained."""
    tokens = token_ids_of(trained, adapter)
    for name in lookup_names(trained.module, base):
        vocabulary = (base.tensors or {}).get(name, (0,))[0]
        if len(tokens) == trained.tensor.shape[0] and all(0 <= token < vocabulary for token in tokens):
            rows = np.full(vocabulary, -1, np.intp)
            rows[list(tokens)] = np.arange(len(tokens))
            yield RowValues(name, RowRole.REPLACE, trained.tensor, rows)


def token_ids_of(trained: TrainedTensor, adapter: Adapter) -> Sequence[int]:
    """Return the ids of the tokens whose rows a tensor has, or () if it has none or no setting lists them."""
    setting = next((adapter.config[key] for key in TOKEN_INDICES if adapter.config.get(key)), None)
    return _token_ids(setting, trained.module) if trained.rule == "trained-tokens" else ()


def _token_ids(setting: Any, module: str) -> Sequence[int]:  # noqa: ANN401 — JSON
    """Return the ids of the tokens that were trained of a module."""
    if isinstance(setting, Mapping):
        setting = next((ids for name, ids in setting.items() if f".{module}".endswith(f".{name}")), None)
    whole = isinstance(setting, list) and all(type(each) is int for each in setting)
    return tuple(setting) if whole else ()


def _bias(trained: TrainedTensor, adapter: Adapter, base: BaseModel) -> Iterator[RowValues]:
    """Yield the places of a bias, which has the order of the rows of its weight."""
    added = trained.rule == "lora-bias"
    pair = _pair_of_module(trained.module, adapter) if added else None
    if len(trained.tensor.shape) != 1 or (added and pair is None):
        return
    out = trained.tensor.shape[0]
    if not added and (norm := _norm_name_of(trained.module, base)):
        yield RowValues(f"{norm}.bias", RowRole.REPLACE, trained.tensor, np.arange(out))
        return
    for name, rows, _ in row_places(trained.module, out, 0, adapter, base):
        role = RowRole.ADD if added else RowRole.REPLACE
        factor = pair.scale if pair else 1.0
        yield RowValues(name.removesuffix("weight") + "bias", role, trained.tensor, rows, factor=factor)


def _dora_lengths(trained: TrainedTensor, adapter: Adapter, base: BaseModel) -> Iterator[RowValues]:
    """Yield the places of the magnitudes that DoRA gives to the rows of an adapted weight."""
    pair = _pair_of_module(trained.module, adapter)
    lengths = trained.tensor
    if pair is None or len(pair.b.shape) != 2 or pair.fit is not None or adapter.method != "LoRA":
        return
    out = pair.b.shape[0]
    if int(np.prod(lengths.shape)) != out or lookup_names(trained.module, base):
        return
    column = LazyTensor(
        lengths.path, lengths.name, (out, 1), (lengths,), lambda numbers: numbers.reshape(-1, 1), True
    )
    for name, rows, _ in row_places(trained.module, out, pair.a.shape[1], adapter, base):
        yield RowValues(name, RowRole.LENGTH, column, rows)


def _pair_of_module(module: str, adapter: Adapter) -> LoraPair | None:
    """Return the pair of a module, or None if the module has none."""
    return next((pair for pair in adapter.pairs if pair.module == module), None)


_PLACES: Mapping[str, Callable[[TrainedTensor, Adapter, BaseModel], Iterator[RowValues]]] = {
    "norm": _norm,
    "whole-embedding": _whole_matrix,
    "resized": _whole_matrix,
    "whole-weight": _whole_matrix,
    "trained-tokens": _tokens,
    "bias": _bias,
    "lora-bias": _bias,
    "dora": _dora_lengths,
}
"""The rule of a trained tensor → the function that yields the rows that it goes to, if the base has them."""


def lookup_names(module: str, base: BaseModel) -> tuple[str, ...]:
    """Return the tensor of an embedding or a head, or () if the module is neither."""
    targets = find_targets(require_arch(base.hparams.arch), module)
    return tuple(
        target.tensor
        for target in targets
        if target.block < 0 and (target.weight.kind is Kind.EMBEDDING or target.weight.optional)
    )


def row_places(
    module: str, out: int, width: int, adapter: Adapter, base: BaseModel
) -> Iterator[tuple[str, Index, Index | None]]:
    """Yield each tensor that a weight of out × width goes to, and the order of its rows and columns.

    A width of 0 stands for that of the base. Nothing is yielded for a weight that the converter scales.
    """
    lookup = lookup_names(module, base)
    if lookup:
        yield from ((name, np.arange(out), None) for name in lookup)
        return
    arch = require_arch(base.hparams.arch)
    targets = find_targets(arch, module, mixture=base.hparams.experts > 0)
    if not targets or any(target.weight.scale is not None or target.expert >= 0 for target in targets):
        return
    own = base.hparams.at_layer(targets[0].block)
    shape = (base.tensors or {}).get(targets[0].tensor, ())
    width = width or (shape[-1] if shape else dimension(targets[0].weight.shape[1], own))
    counting = LoraPair(
        module,
        _counted(np.arange(width)[None, :], adapter),
        _counted(np.arange(out)[:, None] + 1, adapter),
        1.0,
    )
    with TensorReader() as reader:
        for slot in map_pairs_to_tensors(replace(adapter, pairs=(counting,), beside=()), base, arch):
            rows = reader.float32(slot.pair.b)
            rows = rows if slot.rows is None else rows[as_index(slot.rows)]
            columns = reader.float32(slot.pair.a)[0].astype(np.intp)
            same = bool((columns == np.arange(len(columns))).all())
            yield slot.tensor, rows[:, 0].astype(np.intp) - 1, None if same else columns


def _counted(numbers: "np.ndarray[Any, Any]", adapter: Adapter) -> LazyTensor:
    """Return numbers as a tensor."""
    made: Float32 = numbers.astype(np.float32)
    return LazyTensor(Path(adapter.weights), "places", made.shape, (), lambda: made)
