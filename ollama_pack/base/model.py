"""The base model of an adapter: its sizes, and where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from ollama_pack.arch.hparams import HParams
from ollama_pack.base.file_digest import FileDigest
from ollama_pack.disk.files import Progress
from ollama_pack.gguf.model_info import ModelInfo
from ollama_pack.gguf.reader import GgufFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """Numbers of a model that change its answers and none of its shapes; each is 0 if it is unknown.

    Attributes:
        rope_base: the base frequency of the rotary embeddings.
        context: the number of tokens it was made for.
        norm_epsilon: the epsilon of its norms.
    """

    rope_base: float = 0.0
    context: int = 0
    norm_epsilon: float = 0.0

    def or_else(self, other: "Positions") -> "Positions":
        """Return these numbers, with those of `other` where one is unknown."""
        return Positions(
            rope_base=self.rope_base or other.rope_base,
            context=self.context or other.context,
            norm_epsilon=self.norm_epsilon or other.norm_epsilon,
        )


class BaseWeights(NamedTuple):
    """How large the weights of a base are.

    Attributes:
        size: the size of its file in bytes.
        shapes: the shape of each tensor, rows first.
        types: the ggml type of each tensor, as far as it is known.
    """

    size: int
    shapes: Mapping[str, tuple[int, ...]]
    types: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """The model an adapter was trained on, as it was found.

    Attributes:
        hparams: its sizes.
        origin: the place that the sizes were read from, in words for the user.
        tag: the Ollama model to build FROM; empty if the base is a GGUF file that belongs to none.
        source_id: its Hugging Face id, or empty if it is unknown.
        gguf: its GGUF file, or None if the base is an Ollama model.
        tensors: name → shape (rows first) of every weight, or None if they are unknown.
        details: ``model_type``, ``file_type`` and the like, as Ollama's configuration spells them.
        notes: what the user should know about this base.
        info: the header and the vocabulary of `gguf`, which is read once, or None if the base is no file.
        digest: the digest of `gguf`, which is taken once, or None if the base is no file.
        parts: the header of `gguf`, or of each of its parts if it is split; empty if the base is no file.
        weights: how large its weights are, if a registry has given their sizes; else None.
        recorded_blob: the digest of its weights as a lock records it; empty if the base is a file.
        temporary: whether only a daemon can read the base, so that `gguf` exists for this run only, and not
            at all if nothing is written.
    """

    hparams: HParams
    origin: str = ""
    tag: str = ""
    source_id: str = ""
    gguf: Path | None = None
    tensors: Mapping[str, tuple[int, ...]] | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    info: ModelInfo | None = field(default=None, compare=False, repr=False)
    digest: FileDigest | None = field(default=None, compare=False, repr=False)
    parts: tuple[GgufFile, ...] = field(default=(), compare=False, repr=False)
    weights: BaseWeights | None = field(default=None, compare=False, repr=False)
    recorded_blob: str = ""
    temporary: bool = False

    def blob_digest(self, progress: Progress | None = None) -> str:
        """Return the digest of its weights, ``sha256:…``; empty if neither a file nor a lock tells it.

        Raises:
            DestinationError: the file cannot be read.
        """
        if self.gguf is None:
            return self.recorded_blob
        return (self.digest or FileDigest(self.gguf)).get(progress)

    def at_layer(self, layer: int) -> "BaseModel":
        """Return this base with the heads of one layer; the same value if its layers do not differ."""
        sizes = self.hparams.at_layer(layer)
        return self if sizes is self.hparams else replace(self, hparams=sizes)
