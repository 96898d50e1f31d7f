"""Sets of weights that several families share, so that a row says only what is its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

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
    """Return separate weights of q, k, v and the output, as all decoders after Llama have them.

    Args:
        q_rows: the row order of the query weight; None where both sides agree.
        k_rows: the row order of the key weight.
        module: what Hugging Face calls the attention.
        output: the name of the weight behind it.
    """
    return (
        Weight(f"{module}.q_proj", "blk.{i}.attn_q", q_rows, ("heads", "hidden")),
        Weight(f"{module}.k_proj", "blk.{i}.attn_k", k_rows, ("kv_heads", "hidden")),
        Weight(f"{module}.v_proj", "blk.{i}.attn_v", None, ("kv_heads", "hidden")),
        Weight(f"{module}.{output}", "blk.{i}.attn_output", None, ("hidden", "heads")),
    )


GATED = ("gate_proj", "up_proj", "down_proj")
"""What most families call the gate, what it gates, and the weight behind both."""


def gated_mlp(
    module: str, suffix: str = "", size: str = "feed_forward", names: tuple[str, str, str] = GATED
) -> tuple[Weight, ...]:
    """Return the three weights of a gated feed-forward block.

    Args:
        module: what Hugging Face calls the block, ``model.layers.{i}.mlp``.
        suffix: what llama.cpp puts behind its names, ``_shexp`` for experts that always act.
        size: name of its inner size.
        names: of the gate, of what it gates, and of the weight behind both.
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
        module: what Hugging Face calls the block, ``model.layers.{i}.mlp``.
        up: the name of its first weight.
        down: the name of its second.
    """
    return (
        Weight(f"{module}.{up}", "blk.{i}.ffn_up", None, ("feed_forward", "hidden")),
        Weight(f"{module}.{down}", "blk.{i}.ffn_down", None, ("hidden", "feed_forward")),
    )


def fused_gate(module: str) -> tuple[Weight, ...]:
    """Return the two weights of a gated block whose gate and up are one, on both sides."""
    return (
        Weight(f"{module}.gate_up_proj", "blk.{i}.ffn_up", None, ("unknown", "hidden")),
        Weight(f"{module}.down_proj", "blk.{i}.ffn_down", None, ("hidden", "feed_forward")),
    )


def fused_attention(module: str, qkv: str, output: str, rows: OptionalRows = None) -> tuple[Weight, ...]:
    """Return the two weights of an attention whose q, k and v are one, on both sides.

    Args:
        module: what Hugging Face calls the attention.
        qkv: the name of the weight of all three.
        output: the name of the weight behind it.
        rows: the row order of the first.
    """
    return (
        Weight(f"{module}.{qkv}", "blk.{i}.attn_qkv", rows, ("qkv", "hidden")),
        Weight(f"{module}.{output}", "blk.{i}.attn_output", None, ("hidden", "heads")),
    )


def split_attention(
    qkv: str, output: str, orders: tuple[PermutationFn, PermutationFn, PermutationFn]
) -> tuple[Weight, ...]:
    """Return the weights of an attention whose q, k and v are one, and apart in llama.cpp.

    Args:
        qkv: the weight of all three.
        output: the weight behind it.
        orders: which of its rows are queries, keys and values.
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
    """Return the weights of routed experts, in each form that has been trained.

    transformers 4 had a module for each expert and weight, transformers 5 has two parameters for all of
    them, gate and up in one; mlx-lm has one module for each weight of all experts.

    Args:
        module: what Hugging Face calls the experts, ``model.layers.{i}.mlp.experts``.
        gate: the name of the gate in an expert of its own.
        up: the name of the projection it gates.
        down: the name of the projection back.
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
    """Return the two parameters of all experts, ``gate_up_proj`` and ``down_proj``.

    Args:
        module: what Hugging Face calls the experts.
        kind: which way round their weights are stored.
        gate: which rows of ``gate_up_proj`` are the gate's.
        up: which rows are the other half's.
    """
    into, back = ("expert_feed_forward", "hidden"), ("hidden", "expert_feed_forward")
    return (
        Weight(f"{module}.gate_up_proj", "blk.{i}.ffn_gate_exps", gate, into, kind=kind),
        Weight(f"{module}.gate_up_proj", "blk.{i}.ffn_up_exps", up, into, kind=kind),
        Weight(f"{module}.down_proj", "blk.{i}.ffn_down_exps", None, back, kind=kind),
    )


def ungated_experts(module: str) -> tuple[Weight, ...]:
    """Return the weights of routed experts without a gate, each by itself and all in one parameter."""
    into, back = ("expert_feed_forward", "unknown"), ("unknown", "expert_feed_forward")
    return tuple(
        Weight(f"{module}.{name}", f"blk.{{i}}.{tensor}", None, shape, kind=Kind.EXPERTS)
        for one in ("", "{e}.")
        for name, tensor, shape in (
            (f"{one}up_proj", "ffn_up_exps", into),
            (f"{one}down_proj", "ffn_down_exps", back),
        )
    )


def mamba_dt_proj(module: str) -> Weight:
    """Return the weight of a first Mamba's steps: torch uses it without its LoRA, llama.cpp with it."""
    return Weight(
        f"{module}.dt_proj", "blk.{i}.ssm_dt", None, ("unknown", "unknown"), unsupported="one-sided"
    )


def without_head_sizes(weights: Sequence[Weight]) -> tuple[Weight, ...]:
    """Return weights of an attention whose heads differ by layer in ways that no number of a base tells."""
    sized = ("heads", "kv_heads")
    return tuple(
        replace(each, shape=tuple("unknown" if size in sized else size for size in each.shape))  # type: ignore[arg-type]
        for each in weights
    )


def with_multipliers(weights: Sequence[Weight], scales: Mapping[str, RowScaleFn]) -> tuple[Weight, ...]:
    """Return weights with a scale for those whose module's name ends so."""
    return tuple(replace(each, scale=scales.get(each.module.rpartition(".")[2])) for each in weights)


def moe(
    module: str = f"{LAYER}.mlp", gate: str = "gate", shared: str = "", block: bool = True
) -> tuple[Weight, ...]:
    """Return the weights of a mixture of gated experts, as most families after Qwen3 have them.

    Args:
        module: what Hugging Face calls the feed-forward block.
        gate: the name of what chooses experts.
        shared: the name of the block that acts beside them; empty where there is none.
        block: whether some layers have a block instead of experts.
    """
    return (
        *(gated_mlp(module) if block else ()),
        router(f"{module}.{gate}"),
        *experts(f"{module}.experts"),
        *(gated_mlp(f"{module}.{shared}", "_shexp", "unknown") if shared else ()),
    )


def router(module: str) -> Weight:
    """Return the weight that chooses experts."""
    return Weight(module, "blk.{i}.ffn_gate_inp", None, ("experts", "hidden"))


def head(module: str) -> Weight:
    """Return the weight of the output head, which a base may lack."""
    return Weight(module, "output", None, ("vocab", "hidden"), optional=True)


def embedding(module: str) -> Weight:
    """Return the weight in which tokens are looked up."""
    return Weight(module, "token_embd", None, ("vocab", "hidden"), optional=True, kind=Kind.EMBEDDING)


HEAD, EMBEDDING = head("lm_head"), embedding("model.embed_tokens")


def gated_decoder(q_rows: OptionalRows = None, k_rows: OptionalRows = None) -> tuple[Weight, ...]:
    """Return the weights of a dense decoder with separate q, k, v and a gated feed-forward block.

    Args:
        q_rows: the row order of the query weight; None where both sides agree.
        k_rows: the row order of the key weight.
    """
    return (*attention(q_rows, k_rows), *gated_mlp(f"{LAYER}.mlp"), HEAD, EMBEDDING)


GPT_LAYER = "transformer.h.{i}"
GPT_EMBEDDING = embedding("transformer.wte")
SELF_ATTENTION = f"{LAYER}.self_attn"
SPARSE_MOE = f"{LAYER}.block_sparse_moe"
MAMBA_MIXER = "backbone.layers.{i}.mixer"


def mamba2_mixer(module: str) -> tuple[Weight, ...]:
    """Return the two linear weights of a Mamba 2 mixer, named `module` in Hugging Face's model."""
    return (
        Weight(f"{module}.in_proj", "blk.{i}.ssm_in", None, ("ssm_in", "hidden")),
        Weight(f"{module}.out_proj", "blk.{i}.ssm_out", None, ("hidden", "ssm_inner")),
    )


FEED_FORWARD = f"{LAYER}.feed_forward"
HEAD_AND_EMBEDDING = (HEAD, EMBEDDING)


def moe_decoder(name: str, *classes: str, shared: str = "shared_experts", tied: bool = False) -> Arch:
    """Return a row with the usual attention and the usual mixture, in all layers where nothing is shared."""
    return Arch(
        name, classes, (*attention(), *moe(shared=shared, block=bool(shared)), *HEAD_AND_EMBEDDING), tied
    )
