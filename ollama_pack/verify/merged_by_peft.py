"""What PEFT's adapted layers compute, for the proof alone: their outputs for every unit vector.

The weight that was merged came from PEFT's ``merge``; here the same layer is asked without merging it. The
weight of the base is laid out for it as `reference` states llama.cpp's layout.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ollama_pack.base.model import BaseModel
from ollama_pack.gguf.blocks import read_blocks
from ollama_pack.gguf.ggml_types import nbytes_of
from ollama_pack.gguf.reader import GgufFile
from ollama_pack.gguf.split import read_parts
from ollama_pack.gguf.tensor_data import Float32
from ollama_pack.gguf.tensor_rows import Index
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.adapter import Adapter, PeftModule
from ollama_pack.lora.peft.by_peft import PEFT_METHODS
from ollama_pack.lora.peft.merge_process import PeftLayer, PeftQuestion, PeftWeights
from ollama_pack.verify.tensor_names import EMBEDDING_NAME, HEAD_NAME, parse_module, tensor_names

ROWS_READ = 256
"""Rows of the base that are read at a time."""

_IN_OUT = ("gpt2",)
"""Architectures in whose blocks transformers has weights as in × out."""

Order = Callable[[PeftModule, int, int], Iterator[tuple[str, Index, Index]]]
"""Function (module, rows, columns) → its weight's tensors, each with the order of rows and columns."""


class AppliedRows(NamedTuple):
    """What an adapted layer holds of a tensor.

    Attributes:
        tensor: the GGUF name of the tensor.
        numbers: the weight or the bias of the layer, as its outputs show it.
        rows: for each row of the tensor, the row of `numbers`, or -1 if it has none.
        columns: for each column of the tensor, the column of `numbers`; None for a bias.
    """

    tensor: str
    numbers: LazyTensor
    rows: Index
    columns: Index | None


def applied_rows(adapter: Adapter, base: BaseModel, order_of: Order) -> Iterator[AppliedRows]:
    """Yield every weight and bias that PEFT changes, as PEFT makes it when the numbers are read.

    Args:
        adapter: the adapter.
        base: its base, which is a GGUF file.
        order_of: the witness's statement of the layout.
    """
    if not adapter.by_peft:
        return
    assert base.gguf is not None, "only a file can be merged into"
    files = {name: part for part in read_parts(base.gguf) for name in part.shapes}
    row = PEFT_METHODS[str(adapter.config["peft_type"]).upper()]
    layouts: dict[str, Sequence[tuple[str, Index, Index]]] = {}
    layers: dict[str, PeftLayer] = {}
    for module in sorted(adapter.by_peft, key=_place_in_model):
        out, width = _size_in_base(module, base, files)
        layout = layouts[module.trained] = list(order_of(module, out, width))
        bias = any(_beside(name) in files for name, _, _ in layout)
        kind = _kind_of(module, base)
        shape = (width, out) if kind == "conv1d" else (out, width)
        layers[module.trained] = PeftLayer(module.trained, kind, shape, bias)

    def fill(layer: PeftLayer, weight: Float32) -> Sequence[float] | None:
        whole = np.zeros(len(weight), np.float32)
        for name, rows, columns in layouts[layer.name]:
            for start, numbers in _numbers(files, name):
                wanted = rows[start : start + len(numbers)]
                for row, values in zip(wanted, numbers, strict=True):
                    if row >= 0:
                        weight[row, columns] = values
            if layer.bias:
                held = np.concatenate([numbers for _, numbers in _numbers(files, _beside(name))])[:, 0]
                whole[rows[rows >= 0]] = held[rows >= 0]
        return whole.tolist() if layer.bias else None

    made = PeftWeights(adapter, list(layers.values()), PeftQuestion.APPLY, fill)
    for layer in layers.values():
        yield from _applied_layer(layer, layouts[layer.name], made, weight=row.weight, bias=row.bias)


def _applied_layer(
    layer: PeftLayer,
    layout: Sequence[tuple[str, Index, Index]],
    made: PeftWeights,
    *,
    weight: bool,
    bias: bool,
) -> Iterator[AppliedRows]:
    """Yield the weight and the bias of a layer, once for each tensor that holds rows of them."""
    out, width = reversed(layer.shape) if layer.kind == "conv1d" else layer.shape
    source = made.adapter.weights
    for name, rows, columns in layout:
        if weight:
            numbers = LazyTensor(source, layer.name, (out, width), (), lambda: made.made(layer).weight)
            yield AppliedRows(name, numbers, rows, columns)
        if bias and layer.bias:
            vector = LazyTensor(source, layer.name, (out,), (), lambda: made.made(layer).bias)
            yield AppliedRows(_beside(name), vector, rows, None)


def _beside(weight: str) -> str:
    """Return the name of the bias of a weight."""
    return f"{weight.rpartition('.')[0]}.bias"


def _place_in_model(module: PeftModule) -> tuple[int, int]:
    """Return the layer of a module and its place in it: attention comes before the feed-forward network.

    Only the projections of TinyLoRA depend on it, which are drawn one after another.
    """
    path = parse_module(module.module)
    order = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    return path.block, order.index(path.words[-1]) if path.words[-1] in order else len(order)


def _kind_of(module: PeftModule, base: BaseModel) -> str:
    """Return what kind of layer transformers has for a module."""
    path = parse_module(module.module)
    if tensor_names(path, base.hparams) == (f"{EMBEDDING_NAME}.weight",):
        return "embedding"
    return "conv1d" if base.hparams.arch in _IN_OUT and path.block >= 0 else "linear"


def _size_in_base(module: PeftModule, base: BaseModel, files: Mapping[str, GgufFile]) -> tuple[int, int]:
    """Return the rows and columns of a module's weight, from the tensors that hold it."""
    path = parse_module(module.module)
    own = base.hparams.at_layer(path.block)
    names = tensor_names(path, own)
    shapes = [files[name].shapes[name] for name in names if name in files]
    if len(shapes) == len(names):
        return sum(shape[0] for shape in shapes), shapes[0][1]
    if names == (f"{HEAD_NAME}.weight",):  # a head that merging makes of the embeddings
        rows, columns = files[f"{EMBEDDING_NAME}.weight"].shapes[f"{EMBEDDING_NAME}.weight"]
        return rows, columns
    heads = {"attn_q": own.heads, "attn_k": own.kv_heads, "attn_v": own.kv_heads}
    kinds = [name.removesuffix(".weight").rpartition(".")[2] for name in names]
    return sum(heads[kind] * own.head_dim for kind in kinds), own.hidden


def _numbers(files: Mapping[str, GgufFile], name: str) -> Iterator[tuple[int, Float32]]:
    """Yield the first row and the numbers of pieces of a tensor of the base."""
    if name not in files and name == f"{HEAD_NAME}.weight":
        name = f"{EMBEDDING_NAME}.weight"
    header = files[name]
    shape, kind = header.shapes[name], header.types[name]
    rows, columns = (math.prod(shape[:-1]), shape[-1]) if len(shape) > 1 else (shape[0], 1)
    size = nbytes_of(kind, (columns,))
    with header.path.open("rb") as file:
        file.seek(header.offsets[name])
        for start in range(0, rows, ROWS_READ):
            raw = file.read(min(ROWS_READ, rows - start) * size)
            yield start, read_blocks(np.frombuffer(raw, np.uint8), kind, columns)
