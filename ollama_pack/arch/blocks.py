"""Groups of weights that several families share, from which their rows are composed."""

from collections.abc import Mapping, Sequence

from ollama_pack.arch.permutations import first_half, second_half
from ollama_pack.arch.spec import Arch, Kind, PermutationFn, RowScaleFn, Weight

OptionalRows = PermutationFn | None
LAYER = "model.layers.{i}"


def attention(
    q_rows: OptionalRows = None,
    k_rows: OptionalRows = None,
    module: str = f"{LAYER}.self_attn",
    output: str = "o_proj",
) -> tuple[Weight, ...]:
    """Return the weights of an attention with separate q, k, v and output projections, as in Llama.

    Args:
        q_rows: the row order of the query weight, or None if both sides have the same order.
        k_rows: the row order of the key weight, or None.
        module: the name of the attention module in Hugging Face's model.
        output: the name of the output projection.
    """
    return (
        Weight(f"{module}.q_proj", "blk.{i}.attn_q", q_rows, ("heads", "hidden")),
        Weight(f"{module}.k_proj", "blk.{i}.attn_k", k_rows, ("kv_heads", "hidden")),
        Weight(f"{module}.v_proj", "blk.{i}.attn_v", None, ("kv_heads", "hidden")),
        Weight(f"{module}.{output}", "blk.{i}.attn_output", None, ("hidden", "heads")),
    )


GATED = ("gate_proj", "up_proj", "down_proj")
"""The names that most families give to the gate, up and down projections."""


def gated_mlp(
    module: str, suffix: str = "", size: str = "feed_forward", names: tuple[str, str, str] = GATED
) -> tuple[Weight, ...]:
    """Return the three weights of a gated feed-forward block.

    Args:
        module: the name of the block in Hugging Face's model, ``model.layers.{i}.mlp``.
        suffix: the suffix of the tensors' names in llama.cpp, ``_shexp`` for shared experts.
        size: the name of the inner size, as `dimension` resolves it.
        names: the names of the gate, up and down projections.
    """
    gate, up, down = names
    return (
        Weight(f"{module}.{gate}", f"blk.{{i}}.ffn_gate{suffix}", None, (size, "hidden")),
        Weight(f"{module}.{up}", f"blk.{{i}}.ffn_up{suffix}", None, (size, "hidden")),
        Weight(f"{module}.{down}", f"blk.{{i}}.ffn_down{suffix}", None, ("hidden", size)),
    )


def mlp(module: str, up: str = "up_proj", down: str = "down_proj") -> tuple[Weight, ...]:
    """Return the two weights of a feed-forward block without a gate.

    Args:
        module: the name of the block in Hugging Face's model, ``model.layers.{i}.mlp``.
        up: the name of the up projection.
        down: the name of the down projection.
    """
    return (
        Weight(f"{module}.{up}", "blk.{i}.ffn_up", None, ("feed_forward", "hidden")),
        Weight(f"{module}.{down}", "blk.{i}.ffn_down", None, ("hidden", "feed_forward")),
    )


def fused_gate(module: str) -> tuple[Weight, ...]:
    """Return the two weights of a block with gate and up fused, both in Hugging Face and in llama.cpp."""
    return (
        Weight(f"{module}.gate_up_proj", "blk.{i}.ffn_up", None, ("unknown", "hidden")),
        Weight(f"{module}.down_proj", "blk.{i}.ffn_down", None, ("hidden", "feed_forward")),
    )


def fused_attention(module: str, qkv: str, output: str, rows: OptionalRows = None) -> tuple[Weight, ...]:
    """Return the two weights of an attention with q, k and v fused, both in Hugging Face and in llama.cpp.

    Args:
        module: the name of the attention module in Hugging Face's model.
        qkv: the name of the fused weight.
        output: the name of the output projection.
        rows: the row order of the fused weight, or None if both sides have the same order.
    """
    return (
        Weight(f"{module}.{qkv}", "blk.{i}.attn_qkv", rows, ("qkv", "hidden")),
        Weight(f"{module}.{output}", "blk.{i}.attn_output", None, ("hidden", "heads")),
    )


def split_attention(
    qkv: str, output: str, orders: tuple[PermutationFn, PermutationFn, PermutationFn]
) -> tuple[Weight, ...]:
    """Return the weights of an attention with q, k and v fused in Hugging Face and separate in llama.cpp.

    Args:
        qkv: the module of the fused weight.
        output: the module of the output projection.
        orders: the functions that select the rows of queries, of keys and of values.
    """
    q_rows, k_rows, v_rows = orders
    return (
        Weight(qkv, "blk.{i}.attn_q", q_rows, ("heads", "hidden")),
        Weight(qkv, "blk.{i}.attn_k", k_rows, ("kv_heads", "hidden")),
        Weight(qkv, "blk.{i}.attn_v", v_rows, ("kv_heads", "hidden")),
        Weight(output, "blk.{i}.attn_output", None, ("hidden", "heads")),
    )


def experts(
    module: str, gate: str = "gate_proj", up: str = "up_proj", down: str = "down_proj"
) -> tuple[Weight, ...]:
    """Return the weights of routed experts under all the module names that trainers use for them.

    transformers 4 has one module for each weight of each expert. transformers 5 has two parameters for all
    experts, with gate and up fused. mlx-lm has one module for each weight of all experts.

    Args:
        module: the name of the experts in Hugging Face's model, ``model.layers.{i}.mlp.experts``.
        gate: the name of the gate projection of a single expert.
        up: the name of the up projection of a single expert.
        down: the name of the down projection of a single expert.
    """
    into, back = ("expert_feed_forward", "hidden"), ("hidden", "expert_feed_forward")
    sides = ((gate, "ffn_gate_exps", into), (up, "ffn_up_exps", into), (down, "ffn_down_exps", back))
    single = [
        Weight(f"{module}.{{e}}.{name}", f"blk.{{i}}.{tensor}", None, shape, kind=Kind.EXPERTS)
        for name, tensor, shape in sides
    ]
    stacked = [
        Weight(f"{module}.{name}", f"blk.{{i}}.{tensor}", None, shape, kind=Kind.EXPERTS)
        for name, tensor, shape in sides
    ]
    fused = fused_experts(module, Kind.EXPERTS, first_half, second_half)
    return (*single, *stacked, *(weight for weight in fused if weight.module != f"{module}.{down}"))


def fused_experts(module: str, kind: Kind, gate: PermutationFn, up: PermutationFn) -> tuple[Weight, ...]:
    """Return the two parameters that hold all experts, ``gate_up_proj`` and ``down_proj``.

    Args:
        module: the name of the experts in Hugging Face's model.
        kind: how the weights are stored: out × in, or in × out.
        gate: the function that selects the gate's rows of ``gate_up_proj``.
        up: the function that selects the up projection's rows of ``gate_up_proj``.
    """
    into, back = ("expert_feed_forward", "hidden"), ("hidden", "expert_feed_forward")
    return (
        Weight(f"{module}.gate_up_proj", "blk.{i}.ffn_gate_exps", gate, into, kind=kind),
        Weight(f"{module}.gate_up_proj", "blk.{i}.ffn_up_exps", up, into, kind=kind),
        Weight(f"{module}.down_proj", "blk.{i}.ffn_down_exps", None, back, kind=kind),
    )


def ungated_experts(module: str) -> tuple[Weight, ...]:
    """Return the weights of routed experts without a gate: a module each, and one parameter for all."""
    into, back = ("expert_feed_forward", "unknown"), ("unknown", "expert_feed_forward")
    return tuple(
        Weight(f"{module}.{name}", f"blk.{{i}}.{tensor}", None, shape, kind=Kind.EXPERTS)
        for prefix in ("", "{e}.")
        for name, tensor, shape in (
            (f"{prefix}up_proj", "ffn_up_exps", into),
            (f"{prefix}down_proj", "ffn_down_exps", back),
        )
    )


def mamba_dt_proj(module: str) -> Weight:
    """Return the time-step weight of Mamba 1, which LoRA cannot express.

    transformers reads this weight directly and so ignores its LoRA, while llama.cpp would apply it.
    """
    return Weight(
        f"{module}.dt_proj", "blk.{i}.ssm_dt", None, ("unknown", "unknown"), unsupported="one-sided"
    )


def without_head_sizes(weights: Sequence[Weight]) -> tuple[Weight, ...]:
    """Return the weights with all sizes that depend on heads unknown, because they differ by layer."""
    head_sizes = ("heads", "kv_heads")
    return tuple(
        each._replace(shape=tuple("unknown" if size in head_sizes else size for size in each.shape))  # type: ignore[arg-type]
        for each in weights
    )


def with_multipliers(weights: Sequence[Weight], scales: Mapping[str, RowScaleFn]) -> tuple[Weight, ...]:
    """Return the weights, each with the row scale that `scales` has for the last part of its module name."""
    return tuple(each._replace(scale=scales.get(each.module.rpartition(".")[2])) for each in weights)


def moe(
    module: str = f"{LAYER}.mlp", gate: str = "gate", shared: str = "", block: bool = True
) -> tuple[Weight, ...]:
    """Return the weights of a mixture of gated experts, as most families since Qwen3 have them.

    Args:
        module: the name of the feed-forward block in Hugging Face's model.
        gate: the name of the router.
        shared: the name of the shared expert, or an empty string if there is none.
        block: whether some layers have a dense feed-forward block instead of experts.
    """
    return (
        *(gated_mlp(module) if block else ()),
        router(f"{module}.{gate}"),
        *experts(f"{module}.experts"),
        *(gated_mlp(f"{module}.{shared}", "_shexp", "unknown") if shared else ()),
    )


def router(module: str) -> Weight:
    """Return the weight of the router, which chooses experts."""
    return Weight(module, "blk.{i}.ffn_gate_inp", None, ("experts", "hidden"))


def head(module: str) -> Weight:
    """Return the weight of the output head, which a base with tied embeddings lacks."""
    return Weight(module, "output", None, ("vocab", "hidden"), optional=True)


def embedding(module: str) -> Weight:
    """Return the weight of the token embedding."""
    return Weight(module, "token_embd", None, ("vocab", "hidden"), optional=True, kind=Kind.EMBEDDING)


HEAD, EMBEDDING = head("lm_head"), embedding("model.embed_tokens")


def gated_decoder(q_rows: OptionalRows = None, k_rows: OptionalRows = None) -> tuple[Weight, ...]:
    """Return the weights of a dense decoder with separate q, k and v and a gated feed-forward block.

    Args:
        q_rows: the row order of the query weight, or None if both sides have the same order.
        k_rows: the row order of the key weight, or None.
    """
    return (*attention(q_rows, k_rows), *gated_mlp(f"{LAYER}.mlp"), HEAD, EMBEDDING)


GPT_LAYER = "transformer.h.{i}"
GPT_EMBEDDING = embedding("transformer.wte")
SELF_ATTENTION = f"{LAYER}.self_attn"
SPARSE_MOE = f"{LAYER}.block_sparse_moe"
MAMBA_MIXER = "backbone.layers.{i}.mixer"


def mamba2_mixer(module: str) -> tuple[Weight, ...]:
    """Return the two linear weights of a Mamba 2 mixer, which Hugging Face's model calls `module`."""
    return (
        Weight(f"{module}.in_proj", "blk.{i}.ssm_in", None, ("ssm_in", "hidden")),
        Weight(f"{module}.out_proj", "blk.{i}.ssm_out", None, ("hidden", "ssm_inner")),
    )


FEED_FORWARD = f"{LAYER}.feed_forward"
HEAD_AND_EMBEDDING = (HEAD, EMBEDDING)


def moe_decoder(name: str, *classes: str, shared: str = "shared_experts", tied: bool = False) -> Arch:
    """Return an architecture with Llama's attention (no row order) and a mixture of gated experts.

    Args:
        name: the architecture in GGUF files.
        classes: the Hugging Face classes.
        shared: the name of the shared expert. Without one (an empty string), every layer has experts.
        tied: whether head and embedding are one weight by default.
    """
    return Arch(
        name, classes, (*attention(), *moe(shared=shared, block=bool(shared)), *HEAD_AND_EMBEDDING), tied
    )
