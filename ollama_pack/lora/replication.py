"""A model whose layers were repeated before training (``layer_replication``), each with a LoRA of its own.

In memory the copies share the weights of their layer. A merged model has the weights once for each copy,
because each has another ΔW; its layers are numbered as in training.
"""

import re
from dataclasses import replace

from ollama_pack.base.model import BaseModel
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.lora.adapter import Adapter
from ollama_pack.lora.hints import OWN_LAYERS

REPLICATION = "layer_replication"
"""The setting with the ranges of layers that the trained model is made of."""

ALIKE = frozenset({"llama"})
"""Architectures whose layers are all computed alike, wherever they stand, as recorded adapters show."""

MOST_LAYERS = 1 << 12
_TENSOR_OF_A_LAYER = re.compile(r"blk\.([0-9]{1,6})\.(.+)")


def replicated_layers(adapter: Adapter, base: BaseModel) -> tuple[int, ...]:
    """Return the layer of the base that each layer of the trained model is; () if none is repeated.

    Args:
        adapter: the adapter, read to be merged.
        base: its base.

    Raises:
        InputError: the setting names layers that the base does not have.
        UnsupportedError: llama.cpp may compute a layer of this architecture by its number.
    """
    ranges = adapter.config.get(REPLICATION)
    if not ranges:
        return ()
    where = f"{adapter.directory}: {REPLICATION}"
    count = base.hparams.blocks
    layers: list[int] = []
    for each in ranges if isinstance(ranges, list) else [ranges]:
        numbers = each if isinstance(each, list) and list(map(type, each)) == [int, int] else [1, 0]
        if not 0 <= numbers[0] < numbers[1] <= count or len(layers) > MOST_LAYERS:
            raise InputError(f"{each!r:.40} is not a range of the {count} layers of the base.", where=where)
        layers += range(*numbers)
    if base.hparams.arch not in ALIKE or base.hparams.heads_per_layer:
        raise UnsupportedError(
            f"Layers of {base.hparams.arch} cannot be repeated: llama.cpp may compute each by its number.",
            where=where,
            hint=OWN_LAYERS,
            code="not-mergeable",
        )
    return tuple(layers)


def copies_of(name: str, layers: tuple[int, ...]) -> list[str]:
    """Return the names that a tensor of the base has in a model of these layers; with (), only its own."""
    block = _TENSOR_OF_A_LAYER.fullmatch(name)
    if not layers or block is None:
        return [name]
    return [f"blk.{place}.{block[2]}" for place, layer in enumerate(layers) if layer == int(block[1])]


def with_layers(base: BaseModel, layers: tuple[int, ...]) -> BaseModel:
    """Return the base with its layers repeated; the same object if they are not."""
    if not layers or base.tensors is None:
        return base
    tensors = {copy: shape for name, shape in base.tensors.items() for copy in copies_of(name, layers)}
    return replace(base, tensors=tensors, hparams=replace(base.hparams, blocks=len(layers)))
