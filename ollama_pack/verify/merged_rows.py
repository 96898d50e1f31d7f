"""What the rows of a merged tensor must be, for the proof alone: PEFT's own formulas, in llama.cpp's layout.

A weight that is adapted becomes W + ΔW. Beside that, PEFT puts trained rows in the place of the base's
(``modules_to_save``, trainable tokens, biases), gives each row V of W + ΔW a trained length (DoRA:
m · V / ‖V‖), and adds the bias of B, scaled, to that of the module (``lora_bias``). Nothing here comes from
the plan of the merge: the order of rows is that of `reference`, and the names of norms are stated here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ollama_pack.base.model import BaseModel
from ollama_pack.errors import ProofError
from ollama_pack.gguf.tensor_data import Float32, TensorReader
from ollama_pack.gguf.tensor_rows import Index, read_tensor_rows
from ollama_pack.gguf.tensors import LazyTensor, Tensor
from ollama_pack.lora.adapter import Adapter, LoraPair, PeftModule, TrainedTensor
from ollama_pack.verify.merged_by_peft import applied_rows
from ollama_pack.verify.merged_vocabulary import as_trained, trained_tokens
from ollama_pack.verify.reference import Reference, find_references
from ollama_pack.verify.tensor_names import EMBEDDING_NAME, HEAD_NAME, parse_module, tensor_names

HEAD_WEIGHT, EMBEDDING_WEIGHT = f"{HEAD_NAME}.weight", f"{EMBEDDING_NAME}.weight"

_NORMS = {
    **dict.fromkeys(("input_layernorm", "ln_1"), "attn_norm"),
    **dict.fromkeys(("post_attention_layernorm", "pre_feedforward_layernorm", "ln_2"), "ffn_norm"),
    **dict.fromkeys(("norm", "ln_f", "final_layernorm", "final_layer_norm"), "output_norm"),
    "post_feedforward_layernorm": "post_ffw_norm",
    "q_norm": "attn_q_norm",
    "k_norm": "attn_k_norm",
}
"""The last word of a norm's name → llama.cpp's name of it."""

_AFTER_ATTENTION = ("gemma2", "gemma3", "olmo2")
"""Architectures whose ``post_attention_layernorm`` stands after the attention, as the name says."""

_ONE_ADDED = ("gemma", "gemma2", "gemma3", "nemotron")
"""Architectures that compute with 1 + w, which the converter writes."""


@dataclass(frozen=True, slots=True)
class GivenRows:
    """Numbers that a trained tensor gives to rows of a tensor.

    Attributes:
        what: the rule of the trained tensor, which says what PEFT does with it.
        numbers: the trained tensor.
        rows: for each row of the tensor, the row of `numbers`, or -1 if it gets none.
        columns: for each column of the tensor, the column of `numbers`; None if they are in the same order.
        factor: what the numbers are multiplied by.
        added: what is added to the product.
    """

    what: str
    numbers: Tensor
    rows: Index
    columns: Index | None = None
    factor: float = 1.0
    added: float = 0.0

    def apply(self, numbers: Float32, start: int) -> Float32:
        """Return rows of a tensor, of which the first has the number `start`, with these numbers applied."""
        wanted = self.rows[start : start + len(numbers)]
        place = np.flatnonzero(wanted >= 0)
        given = read_tensor_rows(self.numbers, wanted[place]) * np.float32(self.factor) + np.float32(
            self.added
        )
        if self.columns is not None:
            given = given[:, self.columns]
        made = numbers.copy()
        if self.what == "dora":
            lengths = np.sqrt(np.square(made[place], dtype=np.float64).sum(axis=1, keepdims=True))
            made[place] = (given * (made[place] / lengths)).astype(np.float32)
        elif self.what == "lora-bias":
            made[place] = made[place] + given
        else:
            made[place] = given
        return made


@dataclass(frozen=True, slots=True)
class ExpectedRows:
    """What a touched tensor of a merged file must hold.

    Attributes:
        tensor: its GGUF name.
        reference: its ΔW, or None if it has none.
        given: what else was trained of it.
    """

    tensor: str
    reference: Reference | None = None
    given: tuple[GivenRows, ...] = ()


def expected_rows(adapter: Adapter, base: BaseModel) -> tuple[ExpectedRows, ...]:
    """Return every tensor that merging must have changed.

    Raises:
        ProofError: the witness does not know where a trained tensor belongs.
    """
    base = as_trained(base, adapter)
    references = {reference.tensor: reference for reference in find_references(adapter, base)}
    given: dict[str, list[GivenRows]] = {}
    for trained in adapter.beside:
        for name, rows in _given(trained, adapter, base):
            given.setdefault(name, []).append(rows)
    for applied in applied_rows(adapter, base, partial(_order_of, adapter=adapter, base=base)):
        rows = GivenRows("by-peft", applied.numbers, applied.rows, applied.columns)
        given.setdefault(applied.tensor, []).append(rows)
    names = dict.fromkeys((*references, *given))
    return tuple(ExpectedRows(name, references.get(name), tuple(given.get(name, ()))) for name in names)


def needs_own_head(adapter: Adapter, base: BaseModel) -> bool:
    """Return whether the head of a base must become a tensor of its own.

    It does if head and embeddings are one tensor, and PEFT changes one of the two weights and not the other.
    """
    whole = (trained.module for trained in adapter.beside if trained.rule == "whole-embedding")
    by_peft = (each.module for each in adapter.by_peft)
    modules = (*(pair.module for pair in adapter.pairs), *by_peft, *whole)
    outside = {name for module in modules for name in tensor_names(parse_module(module), base.hparams)}
    return HEAD_WEIGHT not in (base.tensors or {}) and not outside.isdisjoint((HEAD_WEIGHT, EMBEDDING_WEIGHT))


def _given(trained: TrainedTensor, adapter: Adapter, base: BaseModel) -> Iterator[tuple[str, GivenRows]]:
    """Yield each tensor that a trained tensor gives rows to, with the rows."""
    arch, numbers, rule = base.hparams.arch, trained.tensor, trained.rule
    size = numbers.shape[0]
    if rule == "norm" or (rule == "bias" and parse_module(trained.module).words[-1] in _NORMS):
        added = 1.0 if arch in _ONE_ADDED and rule == "norm" else 0.0
        part = "weight" if rule == "norm" else "bias"
        given = GivenRows(rule, numbers, np.arange(size), added=added)
        yield f"{_norm_name(trained, arch)}.{part}", given
    elif rule in ("whole-embedding", "resized", "trained-tokens"):
        (name,) = tensor_names(parse_module(trained.module), base.hparams)
        rows = np.arange(size)
        if rule == "trained-tokens":
            rows = np.full((base.tensors or {})[name][0], -1, np.intp)
            for place, token in enumerate(trained_tokens(adapter, trained.module)):
                rows[token] = place
        yield name, GivenRows(rule, numbers, rows)
    else:
        pair = next((pair for pair in adapter.pairs if pair.module == trained.module), None)
        own = base.hparams.at_layer(parse_module(trained.module).block)
        width = numbers.shape[1] if len(numbers.shape) > 1 else pair.a.shape[-1] if pair else own.hidden
        for name, rows, columns in _order_of(trained, size, width, adapter, base):
            vector = rule in ("bias", "lora-bias")
            tensor = f"{name.removesuffix('weight')}bias" if vector else name
            factor = pair.alpha / pair.rank if pair and rule == "lora-bias" else 1.0
            whole = columns if rule == "whole-weight" else None
            yield tensor, GivenRows(rule, numbers, rows, whole, factor)


def _norm_name(trained: TrainedTensor, arch: str) -> str:
    """Return llama.cpp's name of a norm, without its ending."""
    path = parse_module(trained.module)
    name = _NORMS.get(path.words[-1])
    if arch in _AFTER_ATTENTION and path.words[-1] == "post_attention_layernorm":
        name = "post_attention_norm"
    if name is None:
        raise _unknown(trained)
    return name if path.block < 0 else f"blk.{path.block}.{name}"


def _order_of(
    trained: TrainedTensor | PeftModule, out: int, width: int, adapter: Adapter, base: BaseModel
) -> Iterator[tuple[str, Index, Index]]:
    """Yield the tensors of a weight with their row and column order, read from a ΔW that numbers both."""
    if lookup := _lookup_of(trained.module, base):
        yield lookup[0], np.arange(out), np.arange(width)
        return
    beside = trained.tensor if isinstance(trained, TrainedTensor) else trained.tensors[0]
    a = _held(np.arange(width, dtype=np.float32)[None, :], beside)
    b = _held(np.arange(1, out + 1, dtype=np.float32)[:, None], beside)
    counting = replace(adapter, pairs=(LoraPair(trained.module, a, b, 1.0),), beside=())
    with TensorReader() as reader:
        for reference in find_references(counting, base):
            if any(share.placement.layout.factor is not None for share in reference.shares):
                raise _unknown(trained)
            columns, rows = reference.factors(reader, 1.0)
            yield reference.tensor, rows[:, 0].astype(np.intp) - 1, columns[0].astype(np.intp)


def _lookup_of(module: str, base: BaseModel) -> tuple[str, ...]:
    """Return the tensor of an embedding or a head, whose rows and columns keep their order; else nothing."""
    names = tensor_names(parse_module(module), base.hparams)
    return names if names in ((HEAD_WEIGHT,), (EMBEDDING_WEIGHT,)) else ()


def _held(numbers: Float32, beside: Tensor) -> LazyTensor:
    """Return numbers as a tensor."""
    return LazyTensor(beside.path, beside.name, numbers.shape, (), lambda: numbers)


def _unknown(trained: TrainedTensor | PeftModule) -> ProofError:
    """Return the error for a tensor whose place the witness does not know."""
    tensor = trained.tensor if isinstance(trained, TrainedTensor) else trained.tensors[0]
    return ProofError(
        f"The proof does not know where llama.cpp holds {trained.module}.",
        where=f"{tensor.path}: {tensor.name}",
        hint="report it: ollama_pack/verify/merged_rows.py lacks the module",
        code="merged",
    )
