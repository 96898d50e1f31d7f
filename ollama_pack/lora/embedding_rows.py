"""The embedding and head of an adapter that was trained with another vocabulary size than its base.

Both are trained, or frozen and saved whole, or have a LoRA. If embeddings are tied, they are one tensor.
"""

from collections.abc import Iterator
from dataclasses import replace

from ollama_pack.arch.spec import Kind, find_targets
from ollama_pack.arch.table import require_arch
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.lora.adapter import Adapter, TrainedTensor
from ollama_pack.lora.beside import lookup_names, token_ids_of
from ollama_pack.lora.peft.embedding_copies import RESIZED, same_numbers
from ollama_pack.lora.shape_check import out_and_in
from ollama_pack.lora.untied import EMBEDDINGS, HEAD_TENSOR, has_own_head

HEAD_BIAS = "output.bias"
VOCABULARY_TENSORS = (EMBEDDINGS, HEAD_TENSOR, HEAD_BIAS)
"""The tensors that have a row for each token."""

WHOLE_EMBEDDINGS = frozenset({"whole-embedding", RESIZED})
SAVE_WHOLE = "save it again with PEFT: model.save_pretrained(DIR, save_embedding_layers=True)"


def rows_trained(adapter: Adapter, base: BaseModel) -> int:
    """Return how many rows embedding and head have in an adapter, or 0 if nothing in it shows that.

    Raises:
        InputError: two of its tensors have different numbers of rows.
    """
    found = {each.tensor.name: each.tensor.shape[0] for each in _whole_embeddings(adapter, base)}
    found |= {each.tensor.name: each.tensor.shape[0] for each in adapter.copies}
    for pair in adapter.pairs:
        for target in find_targets(require_arch(base.hparams.arch), pair.module):
            if pair.fit is None and target.weight.optional and target.block < 0:
                out, width = out_and_in(pair)
                found[pair.module] = width if target.weight.kind is Kind.EMBEDDING else out
    if len(set(found.values())) > 1:
        (one, first), *others = sorted(found.items())
        other, second = next(each for each in others if each[1] != first)
        raise InputError(
            f"{one} has {first} rows, and {other} has {second}.", where=adapter.weights, code="does-not-fit"
        )
    if found:
        return next(iter(found.values()))
    last = max((max(ids) for each in adapter.beside if (ids := token_ids_of(each, adapter))), default=-1)
    rows = (base.tensors or {}).get(EMBEDDINGS, (0,))[0]
    return last + 1 if last >= rows else 0


def _whole_embeddings(adapter: Adapter, base: BaseModel) -> Iterator[TrainedTensor]:
    """Yield the whole embeddings and heads that are merged."""
    for each in adapter.beside:
        if each.rule in WHOLE_EMBEDDINGS and lookup_names(each.module, base):
            yield each


def with_whole_embeddings(adapter: Adapter, base: BaseModel) -> Adapter:
    """Return the adapter with its frozen embedding and head, which have the rows that the base lacks.

    In a base with tied embeddings, the two are one tensor: what is saved for one serves for the other, and
    they stay one tensor unless only one of them was trained.
    """
    whole = _whole_embeddings(adapter, base)
    given = {name: each for each in whole for name in lookup_names(each.module, base)}
    frozen = {name: each for each in adapter.copies for name in lookup_names(each.module, base)}
    frozen |= {name: each for name, each in given.items() if each.rule == RESIZED and name not in frozen}
    others = tuple(each for each in adapter.beside if each.rule != RESIZED)
    tied = HEAD_TENSOR not in (base.tensors or {})
    both = [frozen.get(name) for name in (EMBEDDINGS, HEAD_TENSOR)]
    one = both[0] or both[1]
    if tied and None in both and one is not None:
        weights = require_arch(base.hparams.arch).weights
        names = {f"{each.tensor}.weight": each.module for each in weights if each.optional}
        both = [one._replace(module=names[name]) for name in (EMBEDDINGS, HEAD_TENSOR)]
    apart = has_own_head(replace(adapter, beside=others), base)
    if tied and not apart and both[0] and both[1] and not same_numbers(both[0].tensor, both[1].tensor):
        others, apart = (*others, both[1]._replace(rule="whole-embedding")), True
    if tied and not apart:
        both[1] = None
    trained = {
        name for each in others if each.rule == "whole-embedding" for name in lookup_names(each.module, base)
    }
    kept = [
        each
        for name, each in zip((EMBEDDINGS, HEAD_TENSOR), both, strict=True)
        if each and name not in trained
    ]
    return replace(adapter, beside=(*kept, *others))


def require_new_rows(adapter: Adapter, base: BaseModel, rows: int, size: int) -> None:
    """Require that every new row of an embedding, a head or its bias is in the adapter.

    Raises:
        UnsupportedError: a row is missing.
    """
    there = (name for name in VOCABULARY_TENSORS if name in (base.tensors or {}))
    wanted = {name: set(range(rows, size)) for name in there}
    for each in adapter.beside:
        ids = token_ids_of(each, adapter) or range(rows, size)
        for name in lookup_names(each.module, base):
            tensor = HEAD_BIAS if each.rule == "bias" else name
            wanted[tensor] = wanted.get(tensor, set()) - set(ids)
    for name, missing in wanted.items():
        if missing:
            raise UnsupportedError(
                f"The adapter was trained with {size} tokens, the base has {rows}, and the rows of the new "
                f"tokens are not in the adapter: {name} lacks {len(missing)} of them.",
                where=adapter.weights,
                hint=SAVE_WHOLE,
                code="rows-missing",
            )
