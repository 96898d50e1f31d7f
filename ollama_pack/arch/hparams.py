"""The hyperparameters of a model: the sizes that shapes and row orders follow from (llama.cpp: hparams)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSpace:
    """Sizes of layers that carry a state along: Mamba and gated delta nets. They are 0 without such layers.

    Attributes:
        groups: number of groups that share what they read and write; the key heads of a gated delta net.
        heads: number of heads with a time step of their own; the value heads of a gated delta net.
        state: size of one state; the size of a key head of a gated delta net.
        inner: size of all heads together.
    """

    groups: int = 0
    heads: int = 0
    state: int = 0
    inner: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HParams:
    """The sizes of one model, as far as a conversion needs to know them.

    Attributes:
        arch: llama.cpp's name of the architecture (``general.architecture``).
        blocks: number of transformer layers.
        heads: number of attention heads.
        kv_heads: number of key and value heads.
        head_dim: size of one head.
        hidden: size of the residual stream.
        feed_forward: inner size of the feed-forward block, or 0 if it is unknown.
        experts: number of routed experts, or 0 if there are none or the number is unknown.
        expert_feed_forward: inner size of one expert, or 0 if there are none or the size is unknown.
        vocab: number of tokens, or 0 if it is unknown.
        tied: whether the output head is the embedding, or None if that is unknown.
        ssm: sizes of layers that carry a state along.
        multipliers: name in config.json → numbers that the converter multiplied the weights with. It is empty
            if they are unknown.
        heads_per_layer: heads and key-value heads of each layer, if they differ by layer; else empty.
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
    ssm: StateSpace = StateSpace()
    multipliers: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    heads_per_layer: tuple[tuple[int, int], ...] = ()

    def at_layer(self, layer: int) -> "HParams":
        """Return these sizes with the heads of one layer; unchanged outside the layers (-1)."""
        if not 0 <= layer < len(self.heads_per_layer):
            return self
        heads, kv_heads = self.heads_per_layer[layer]
        return replace(self, heads=heads, kv_heads=kv_heads)
