"""The nouns: frozen values that travel between the stages.

Nothing here reads, writes or decides. Shapes are given as numpy gives them (rows first), so a
weight ``W`` is ``out × in``, a LoRA ``A`` is ``rank × in`` and a LoRA ``B`` is ``out × rank``. Weights of
experts have a third dimension in front, one matrix an expert.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being moved, the bytes done and the bytes there are (0 where nobody knows)."""

Note: TypeAlias = Callable[[str, object], None]
"""Called with the name of a stage and the value it made, when it is done."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor lying in a file, not read yet.

    Attributes:
        path: the file.
        name: its name inside the file.
        dtype: ``F32``, ``F16`` or ``BF16``; ``Q8_0`` in a GGUF file.
        shape: rows first.
        offset: of its first byte in the file.
        nbytes: its size in bytes.
    """

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class MadeTensor:
    """A tensor made from others when it is needed: a product, a slice, a stack.

    Attributes:
        path: the file its numbers come from, the first one where there are several.
        name: of the tensor it is made from, the first one where there are several.
        shape: rows first.
        parts: what it is made from; empty where `make` has the numbers itself.
        make: called with the numbers of each part, float32 in its shape; returns float32 in `shape`.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    parts: "tuple[Tensor, ...]"
    make: Callable[..., Any]


Tensor: TypeAlias = StoredTensor | MadeTensor
"""A tensor whose shape is known and whose numbers can be had."""


@dataclass(frozen=True, slots=True)
class LoraPair:
    """One adapted weight: ΔW = alpha / rank · B · A, of each expert where there are experts.

    Attributes:
        module: the module's name in the base model, ``model.layers.0.self_attn.q_proj``.
        a: ``rank × in``, or ``experts × rank × in``.
        b: ``out × rank``, or ``experts × out × rank``.
        alpha: so that alpha / rank is what PEFT multiplies B·A with. rsLoRA (alpha / √rank) and
            the patterns of the configuration are already in it.
    """

    module: str
    a: Tensor
    b: Tensor
    alpha: float

    @property
    def rank(self) -> int:
        """Return the inner dimension of B·A."""
        return self.a.shape[-2]

    @property
    def scale(self) -> float:
        """Return what B·A is multiplied with."""
        return self.alpha / self.rank


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter as its trainer left it on disk, brought to A and B.

    Attributes:
        directory: where it lies.
        weights: its file of weights.
        pairs: one per adapted weight, ordered by module name (numbers as numbers).
        rank: ``r`` of the configuration.
        alpha: ``lora_alpha`` of the configuration.
        base_id: ``base_model_name_or_path``, empty when the configuration has none.
        config: adapter_config.json, parsed.
        method: what was trained, as people write it: ``LoRA``, ``AdaLoRA``.
        invocation: token ids after which the adapter is active (aLoRA); empty: always.
        notes: what the user should know about this adapter.
    """

    directory: Path
    weights: Path
    pairs: tuple[LoraPair, ...]
    rank: int
    alpha: float
    base_id: str
    config: Mapping[str, Any]
    method: str = "LoRA"
    invocation: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The model an adapter was trained on, as far as a conversion needs to know it.

    Attributes:
        arch: llama.cpp's name of the architecture (``general.architecture``).
        blocks: number of transformer blocks.
        heads: number of attention heads.
        kv_heads: number of key and value heads.
        head_dim: size of one head.
        hidden: size of the residual stream.
        feed_forward: inner size of the feed-forward block, 0 where unknown.
        experts: number of experts of a mixture, 0 without or where unknown.
        expert_feed_forward: inner size of one expert, 0 without or where unknown.
        vocab: number of tokens, 0 where unknown.
        tied: whether the output reuses the embeddings, None where unknown.
        origin: where these numbers come from, in words.
        tag: the Ollama model to build FROM, empty for a GGUF file without one.
        source_id: the Hugging Face id, empty where unknown.
        gguf: the GGUF file, where the base is one.
        tensors: name → shape (rows first) of every weight, where they are known.
        details: ``model_type``, ``file_type`` and the like, as Ollama's configuration spells them.
        notes: what the user should know about this base.
    """

    arch: str
    blocks: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    feed_forward: int = 0
    experts: int = 0
    expert_feed_forward: int = 0
    vocab: int = 0
    tied: bool | None = None
    origin: str = ""
    tag: str = ""
    source_id: str = ""
    gguf: Path | None = None
    tensors: Mapping[str, tuple[int, ...]] | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoraTensor:
    """One tensor of a GGUF LoRA file, planned: where it comes from and what happens to it.

    Attributes:
        name: in the file, ``blk.0.attn_q.weight.lora_b``.
        source: the tensor it is made from.
        order: row i of the new tensor is row ``order[i]`` of the source, in each expert; None keeps
            them. It may take a part of the rows.
        factor: multiplied in float32 before the cast; 1.0 leaves the numbers alone.
    """

    name: str
    source: Tensor
    order: tuple[int, ...] | None = None
    factor: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Return its shape, rows first."""
        shape = self.source.shape
        return shape if self.order is None else (*shape[:-2], len(self.order), shape[-1])


@dataclass(frozen=True, slots=True)
class LoraPlan:
    """Everything that goes into a GGUF LoRA file.

    Attributes:
        arch: ``general.architecture``.
        alpha: ``adapter.lora.alpha``; llama.cpp multiplies B·A with alpha / rank of the tensor.
        tensors: A then B of every weight, in file order.
        metadata: further keys with their text, or a number or numbers stored as uint32.
    """

    arch: str
    alpha: float
    tensors: tuple[LoraTensor, ...]
    metadata: Mapping[str, str | int | tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoraFile:
    """A GGUF LoRA file on disk.

    Attributes:
        path: the file.
        digest: ``sha256:`` and 64 hexadecimal digits.
        size: in bytes.
        outtype: type of its tensors, ``f16``; all of them where they differ, ``bf16/f16``.
    """

    path: Path
    digest: str
    size: int
    outtype: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a proof found.

    Attributes:
        proof: which one, ``numbers``.
        passed: whether the figure keeps the limit.
        figure: the worst value found.
        limit: what it may be at most.
        summary: the line a person reads.
        worst: the tensor the figure belongs to.
    """

    proof: str
    passed: bool
    figure: float
    limit: float
    summary: str
    worst: str = ""


@dataclass(frozen=True, slots=True)
class Layer:
    """One blob of an Ollama model.

    Attributes:
        media_type: ``application/vnd.ollama.image.adapter`` and its like.
        digest: ``sha256:`` and 64 hexadecimal digits.
        size: in bytes.
        content: the bytes, for small layers.
        file: the file that holds them, for large ones.
        origin: the model or file it was taken from (``from`` in a manifest).
    """

    media_type: str
    digest: str
    size: int
    content: bytes | None = None
    file: Path | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a destination did.

    Attributes:
        via: which destination.
        name: the model, as a user would type it.
        digest: of the manifest, empty where a destination cannot know it.
        where: the place, in the user's words.
        bytes_written: moved or written; what was there already does not count.
        lines: what to say to the user, most important first.
        served: whether a running daemon lists the model by now.
        tried: ways in that were tried before and are closed, and why.
        base_manifest: digest of the base's manifest, 64 hexadecimal digits; empty where unknown.
        base_blob: ``sha256:…`` of the base's weights, empty where unknown.
    """

    via: str
    name: str
    digest: str
    where: str
    bytes_written: int
    lines: tuple[str, ...] = ()
    served: bool = False
    tried: tuple[str, ...] = ()
    base_manifest: str = ""
    base_blob: str = ""
