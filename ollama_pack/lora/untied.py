"""A base whose head and embeddings are one tensor, and an adapter that does not change both alike.

PEFT computes such an adapter with two weights. Merging gives the head a tensor of its own, as large as the
embeddings, where llama.cpp loads one. Trainable tokens are trained on both, so for them nothing changes.
"""

from dataclasses import replace

from ollama_pack.arch.spec import find_targets
from ollama_pack.arch.table import require_arch
from ollama_pack.base.model import BaseModel
from ollama_pack.lora.adapter import Adapter
from ollama_pack.lora.plan import LoraPlan

HEAD_TENSOR, EMBEDDINGS = "output.weight", "token_embd.weight"
ALWAYS_TIED = frozenset({"cohere2", "command-r", "gemma", "gemma2", "openelm", "plm"})
"""Architectures whose models llama.cpp gives no head of their own: it refuses a file that has one."""


def untied(base: BaseModel, adapter: Adapter) -> BaseModel:
    """Return the base as it is merged into: with a head of its own if the adapter needs one.

    If it needs none, or llama.cpp would not load it, the same object is returned.
    """
    tensors = base.tensors or {}
    arch = base.hparams.arch
    if HEAD_TENSOR in tensors or EMBEDDINGS not in tensors or arch in ALWAYS_TIED:
        return base
    if not has_own_head(adapter, base):
        return base
    return replace(
        base, tensors={**tensors, HEAD_TENSOR: tensors[EMBEDDINGS]}, hparams=replace(base.hparams, tied=False)
    )


def has_own_head(adapter: Adapter, base: BaseModel) -> bool:
    """Return whether an adapter changes the head or the embeddings, so that a tied base needs two tensors."""
    whole = (trained.module for trained in adapter.beside if trained.rule == "whole-embedding")
    by_peft = (each.module for each in adapter.by_peft)
    modules = (*(pair.module for pair in adapter.pairs), *by_peft, *whole)
    arch = require_arch(base.hparams.arch)
    return any(target.weight.optional for each in modules for target in find_targets(arch, each))


def of_the_base(plan: LoraPlan, base: BaseModel) -> LoraPlan:
    """Return the plan without the tensors for a head, for rows or for layers that only merging makes.

    The rest can be compared with the base.
    """
    if base.tensors is None:
        return plan
    rows = {tensor.name: tensor.shape[0] for tensor in plan.tensors}
    made = [
        name
        for name, factor in ((EMBEDDINGS, "lora_a"), (HEAD_TENSOR, "lora_b"))
        if rows.get(f"{name}.{factor}", 0) != base.tensors.get(name, (0,))[0]
    ]
    there = base.tensors.keys() - set(made)
    kept = (tensor for tensor in plan.tensors if tensor.name.rpartition(".lora_")[0] in there)
    return replace(plan, tensors=tuple(kept))
