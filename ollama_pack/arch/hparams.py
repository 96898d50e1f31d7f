"""The hyperparameters of a model, which determine tensor shapes and row orders (``hparams`` in llama.cpp)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSpace:
    """Sizes of layers with a recurrent state: Mamba and gated delta nets. All are 0 without such layers.

    Attributes:
        groups: number of groups of heads that share B and C; for a gated delta net, of key heads.
        heads: number of heads, each with its own time step; for a gated delta net, of value heads.
        state: size of one state; for a gated delta net, size of a key head.
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
        ssm: sizes of layers with a recurrent state.
        multipliers: key in config.json → numbers that the converter multiplied weights by. The mapping is
            empty if they are unknown.
        heads_per_layer: (heads, key-value heads) of each layer. The tuple is empty if all layers are alike.
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
        """Return these sizes with the head counts of one layer, or unchanged if `layer` is none (-1)."""
        if not 0 <= layer < len(self.heads_per_layer):
            return self
        heads, kv_heads = self.heads_per_layer[layer]
        return replace(self, heads=heads, kv_heads=kv_heads)
