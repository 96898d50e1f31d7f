"""Sets of weights that several families share, so that a row says only what is its own."""

from collections.abc import Callable

from ollama_pack.archs.row import Order, Weight
from ollama_pack.parts import Base


def gated_decoder(
    q_rows: Callable[[Base], Order] | None = None, k_rows: Callable[[Base], Order] | None = None
) -> tuple[Weight, ...]:
    """Return the weights of a decoder with separate q, k, v and a gated feed-forward block.

    Args:
        q_rows: the row order of the query weight; None where both sides agree.
        k_rows: the row order of the key weight.
    """
    attention, feed_forward = "model.layers.{i}.self_attn", "model.layers.{i}.mlp"
    return (
        Weight(f"{attention}.q_proj", "blk.{i}.attn_q", q_rows, ("heads", "hidden")),
        Weight(f"{attention}.k_proj", "blk.{i}.attn_k", k_rows, ("kv_heads", "hidden")),
        Weight(f"{attention}.v_proj", "blk.{i}.attn_v", None, ("kv_heads", "hidden")),
        Weight(f"{attention}.o_proj", "blk.{i}.attn_output", None, ("hidden", "heads")),
        Weight(f"{feed_forward}.gate_proj", "blk.{i}.ffn_gate", None, ("feed_forward", "hidden")),
        Weight(f"{feed_forward}.up_proj", "blk.{i}.ffn_up", None, ("feed_forward", "hidden")),
        Weight(f"{feed_forward}.down_proj", "blk.{i}.ffn_down", None, ("hidden", "feed_forward")),
        Weight("lm_head", "output", None, ("vocab", "hidden"), optional=True),
    )
