"""Builds what tests read: adapter directories, tiny bases and tiny model files, from sizes and a seed."""

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ollama_pack.arch.hparams import HParams
from ollama_pack.base.model import BaseModel

Array = npt.NDArray[Any]
Texts = Iterable[tuple[str, str]]

TINY = BaseModel(
    hparams=HParams(
        arch="llama", blocks=2, heads=4, kv_heads=2, head_dim=6, hidden=20, feed_forward=28, vocab=50
    ),
    origin="the tests",
    tag="tiny:latest",
    source_id="tests/tiny",
)
"""Nothing in it is square by accident, and a rope order is not its own inverse (head_dim above 4)."""


def resized(base: BaseModel, **sizes: Any) -> BaseModel:
    """Return a base with other hyperparameters."""
    return replace(base, hparams=replace(base.hparams, **sizes))


ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ALL_LINEAR = (*ATTENTION, "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Recipe:
    """What an adapter directory holds.

    Attributes:
        modules: short names of the adapted linear weights in every layer.
        layers: numbers of the adapted layers.
        rank: ``r``, unless `ranks` says otherwise for a module's full name.
        alpha: ``lora_alpha``.
        dtype: ``F32``, ``F16`` or ``BF16``.
        base: gives the sizes.
        seed: of all numbers.
        prefix: in front of every tensor name.
        infix: between ``lora_A`` and ``.weight``.
        config: keys to add to the configuration, or to take out where the value is `...`.
        extra: further tensors.
        head: whether ``lm_head`` is adapted too.
        ranks: module → rank, for rank patterns.
        reverse: whether the file lists its tensors backwards.
    """

    modules: tuple[str, ...] = ALL_LINEAR
    layers: tuple[int, ...] = (0, 1)
    rank: int = 3
    alpha: float = 6
    dtype: str = "F32"
    base: BaseModel = TINY
    seed: int = 0
    prefix: str = "base_model.model."
    infix: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Array] = field(default_factory=dict)
    head: bool = False
    ranks: Mapping[str, int] = field(default_factory=dict)
    reverse: bool = False

    def names(self) -> list[str]:
        """Return the full names of the adapted modules."""
        names = [
            f"model.layers.{layer}.{folder_of(name)}.{name}" for layer in self.layers for name in self.modules
        ]
        return [*names, "lm_head"] if self.head else names


def folder_of(name: str) -> str:
    return "self_attn" if name in ATTENTION else "mlp"


def shape_of(module: str, base: BaseModel = TINY) -> tuple[int, int]:
    """Return out × in of a module of a llama-like base."""
    queries, keys = base.hparams.heads * base.hparams.head_dim, base.hparams.kv_heads * base.hparams.head_dim
    return {
        "q_proj": (queries, base.hparams.hidden),
        "k_proj": (keys, base.hparams.hidden),
        "v_proj": (keys, base.hparams.hidden),
        "o_proj": (base.hparams.hidden, queries),
        "gate_proj": (base.hparams.feed_forward, base.hparams.hidden),
        "up_proj": (base.hparams.feed_forward, base.hparams.hidden),
        "down_proj": (base.hparams.hidden, base.hparams.feed_forward),
        "lm_head": (base.hparams.vocab, base.hparams.hidden),
    }[module.rpartition(".")[2]]


def factors(recipe: Recipe) -> dict[str, Array]:
    """Return the tensors of an adapter by their names in the file, as float32."""
    random = np.random.default_rng(recipe.seed)
    tensors: dict[str, Array] = {}
    for module in recipe.names():
        rows, columns = shape_of(module, recipe.base)
        rank = recipe.ranks.get(module, recipe.rank)
        for side, shape in (("A", (rank, columns)), ("B", (rows, rank))):
            name = f"{recipe.prefix}{module}.lora_{side}{recipe.infix}.weight"
            tensors[name] = random.normal(0, 0.1, shape).astype(np.float32)
    return tensors


def write_adapter(directory: Path, recipe: Recipe | None = None, **changes: Any) -> Path:
    """Write an adapter directory as PEFT's save_pretrained leaves it, and return it."""
    recipe = replace(recipe or Recipe(), **changes)
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {**factors(recipe), **recipe.extra}
    if recipe.reverse:
        tensors = dict(reversed(tensors.items()))
    (directory / "adapter_model.safetensors").write_bytes(safetensors(tensors, recipe.dtype))
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "tests/tiny",
        "bias": "none",
        "r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "target_modules": sorted(recipe.modules),
        **recipe.config,
    }
    config = {key: value for key, value in config.items() if value is not ...}
    (directory / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    return directory


def safetensors(tensors: Mapping[str, Array], dtype: str = "F32") -> bytes:
    """Return the bytes of a safetensors file with all tensors of one dtype."""
    entries, chunks, position = {}, [], 0
    for name, array in tensors.items():
        chunk = stored_bytes(array, dtype)
        entries[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [position, position + len(chunk)],
        }
        position += len(chunk)
        chunks.append(chunk)
    return with_header({"__metadata__": {"format": "pt"}, **entries}, b"".join(chunks))


def with_header(header: Any, data: bytes = b"") -> bytes:
    """Return a safetensors file of any header, right or wrong, and the data after it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def stored_bytes(array: Array, dtype: str) -> bytes:
    if dtype == "BF16":
        return round_bf16(array).tobytes()
    return array.astype({"F32": "<f4", "F16": "<f2"}[dtype]).tobytes()


def round_bf16(array: Array) -> npt.NDArray[np.uint16]:
    """Return float32 numbers as bfloat16 bits, rounded to nearest even, the way torch does."""
    bits = array.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def read_numbers(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    """Return every tensor of a safetensors file as float64, read by the safetensors library."""
    from safetensors import deserialize

    return {name: _float64(entry) for name, entry in deserialize(path.read_bytes())}


def _float64(entry: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    kind = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}[entry["dtype"]]
    array = np.frombuffer(bytes(entry["data"]), kind).reshape(entry["shape"])
    if entry["dtype"] == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float64)


def delta_weights(directory: Path, scales: Mapping[str, float]) -> dict[str, npt.NDArray[np.float64]]:
    """Return ΔW of each module in float64: scale · B · A, as PEFT multiplies."""
    tensors = read_numbers(directory / "adapter_model.safetensors")
    found = {name.removeprefix("base_model.model."): array for name, array in tensors.items()}
    return {
        module: scale * (found[f"{module}.lora_B.weight"] @ found[f"{module}.lora_A.weight"])
        for module, scale in scales.items()
    }


def tensors_of(base: BaseModel, *, tied: bool = True) -> dict[str, tuple[int, ...]]:
    """Return name → shape (rows first) of every weight a llama-like GGUF base has."""
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (base.hparams.vocab, base.hparams.hidden),
        "output_norm.weight": (base.hparams.hidden,),
    }
    if not tied:
        shapes["output.weight"] = (base.hparams.vocab, base.hparams.hidden)
    names = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    for block in range(base.hparams.blocks):
        shapes[f"blk.{block}.attn_norm.weight"] = shapes[f"blk.{block}.ffn_norm.weight"] = (
            base.hparams.hidden,
        )
        for name, module in zip(names, ALL_LINEAR, strict=True):
            shapes[f"blk.{block}.{name}.weight"] = shape_of(module, base)
    return shapes


def write_model(
    path: Path, base: BaseModel = TINY, *, tied: bool = True, keys: Iterable[tuple[str, str | int]] = ()
) -> Path:
    """Write a whole, tiny, random model with gguf-py, and return its path."""
    from gguf import GGUFWriter, TokenType

    writer = GGUFWriter(path, base.hparams.arch)
    writer.add_name("tiny")
    writer.add_context_length(64)
    writer.add_block_count(base.hparams.blocks)
    writer.add_embedding_length(base.hparams.hidden)
    writer.add_feed_forward_length(base.hparams.feed_forward)
    writer.add_head_count(base.hparams.heads)
    writer.add_head_count_kv(base.hparams.kv_heads)
    writer.add_key_length(base.hparams.head_dim)
    writer.add_value_length(base.hparams.head_dim)
    writer.add_rope_dimension_count(base.hparams.head_dim)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    special = ["<unk>", "<s>", "</s>"]
    pieces = special + [f"▁{chr(97 + number)}" for number in range(base.hparams.vocab - len(special))]
    writer.add_token_list(pieces[: base.hparams.vocab])
    writer.add_token_scores([-float(number) for number in range(base.hparams.vocab)])
    writer.add_token_types([TokenType.CONTROL] * 3 + [TokenType.NORMAL] * (base.hparams.vocab - 3))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for key, value in keys:
        writer.add_uint32(key, value) if isinstance(value, int) else writer.add_string(key, value)
    random = np.random.default_rng(1)
    for name, shape in tensors_of(base, tied=tied).items():
        numbers = np.ones(shape) if name.endswith("norm.weight") else random.normal(0, 0.1, shape)
        writer.add_tensor(name, numbers.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
