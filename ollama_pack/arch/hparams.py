"""The model an adapter was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSpace:
    """Sizes of blocks that carry a state along (Mamba, gated delta nets); 0 where there are none.

    Attributes:
        groups: that share what they read and write; the key heads of a gated delta net.
        heads: that have a step of their own; the value heads of a gated delta net.
        state: numbers of one state; the size of a key head.
        inner: numbers of all heads together.
    """

    groups: int = 0
    heads: int = 0
    state: int = 0
    inner: int = 0


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
        ssm: sizes of blocks that carry a state along.
        multipliers: name in config.json → numbers that its weights were multiplied with; empty where unknown.
        heads_per_layer: heads and key-value heads of each block, where they differ; empty where they do not.
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
    ssm: StateSpace = StateSpace()
    multipliers: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    heads_per_layer: tuple[tuple[int, int], ...] = ()

    def at_layer(self, block: int) -> "Base":
        """Return the base with the heads that one of its blocks has; outside the blocks as it is."""
        if not 0 <= block < len(self.heads_per_layer):
            return self
        heads, kv_heads = self.heads_per_layer[block]
        return replace(self, heads=heads, kv_heads=kv_heads)
