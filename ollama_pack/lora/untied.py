"""A base whose head and embeddings are one tensor, and an adapter that was trained on only one of them.

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
    whole = (trained.module for trained in adapter.beside if trained.rule == "whole-embedding")
    by_peft = (each.module for each in adapter.by_peft)
    modules = (*(pair.module for pair in adapter.pairs), *by_peft, *whole)
    if not any(
        target.weight.optional for each in modules for target in find_targets(require_arch(arch), each)
    ):
        return base
    return replace(
        base, tensors={**tensors, HEAD_TENSOR: tensors[EMBEDDINGS]}, hparams=replace(base.hparams, tied=False)
    )


def of_the_base(plan: LoraPlan, base: BaseModel) -> LoraPlan:
    """Return the plan without what is for a head that only merging makes; the base is asked for the rest."""
    if base.tensors is None or HEAD_TENSOR in base.tensors:
        return plan
    return replace(
        plan, tensors=tuple(tensor for tensor in plan.tensors if not tensor.name.startswith(HEAD_TENSOR))
    )
