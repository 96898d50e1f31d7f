"""The nouns: frozen values that travel between the stages.

Nothing here reads, writes or decides. Shapes are given as numpy gives them (rows first), so a
weight ``W`` is ``out × in``, a LoRA ``A`` is ``rank × in`` and a LoRA ``B`` is ``out × rank``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being moved, the bytes done and the bytes there are (0 where nobody knows)."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor lying in a file, not read yet.

    Attributes:
        path: the file.
        name: its name inside the file.
        dtype: ``F32``, ``F16`` or ``BF16``.
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
class LoraPair:
    """One adapted weight: ΔW = alpha / rank · B · A.

    Attributes:
        module: the module's name in the base model, ``model.layers.0.self_attn.q_proj``.
        a: ``rank × in``.
        b: ``out × rank``.
        alpha: so that alpha / rank is what PEFT multiplies B·A with. rsLoRA (alpha / √rank) and
            the patterns of the configuration are already in it.
    """

    module: str
    a: StoredTensor
    b: StoredTensor
    alpha: float

    @property
    def rank(self) -> int:
        """Return the inner dimension of B·A."""
        return self.a.shape[0]

    @property
    def scale(self) -> float:
        """Return what B·A is multiplied with."""
        return self.alpha / self.rank


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter as PEFT left it on disk.

    Attributes:
        directory: where it lies.
        weights: its safetensors file.
        pairs: one per adapted weight, ordered by module name (numbers as numbers).
        rank: ``r`` of the configuration.
        alpha: ``lora_alpha`` of the configuration.
        base_id: ``base_model_name_or_path``, empty when the configuration has none.
        config: adapter_config.json, parsed.
    """

    directory: Path
    weights: Path
    pairs: tuple[LoraPair, ...]
    rank: int
    alpha: float
    base_id: str
    config: Mapping[str, Any]


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
        vocab: number of tokens, 0 where unknown.
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
    vocab: int = 0
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
        order: row i of the new tensor is row ``order[i]`` of the source; None keeps them.
        factor: multiplied in float32 before the cast; 1.0 leaves the numbers alone.
    """

    name: str
    source: StoredTensor
    order: tuple[int, ...] | None = None
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class LoraPlan:
    """Everything that goes into a GGUF LoRA file.

    Attributes:
        arch: ``general.architecture``.
        alpha: ``adapter.lora.alpha``; llama.cpp multiplies B·A with alpha / rank of the tensor.
        tensors: A then B of every weight, in file order.
        metadata: further keys with their text, or a number stored as uint32.
    """

    arch: str
    alpha: float
    tensors: tuple[LoraTensor, ...]
    metadata: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoraFile:
    """A GGUF LoRA file on disk.

    Attributes:
        path: the file.
        digest: ``sha256:`` and 64 hexadecimal digits.
        size: in bytes.
        outtype: ``f16`` or ``f32``.
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
    """

    via: str
    name: str
    digest: str
    where: str
    bytes_written: int
    lines: tuple[str, ...] = ()
    served: bool = False
