"""What llama.cpp wants of weights that Hugging Face has otherwise, told without a permutation: by axes."""

from collections.abc import Callable

import numpy as np

from ollama_pack.arch.hparams import HParams

Told = Callable[[np.ndarray, HParams, str], np.ndarray]
"""A weight (rows × columns, or experts in front), its base, the tensor's last name → the tensor."""


def turned(weight: np.ndarray, heads: int, base: HParams) -> np.ndarray:
    """Return a weight with the two halves of each head side by side."""
    split = weight.reshape(heads, 2, base.head_dim // 2, -1)
    return split.swapaxes(1, 2).reshape(weight.shape)


def turned_q(weight, base, tensor):
    """Return queries with the halves of each head side by side."""
    return turned(weight, base.heads, base)


def turned_k(weight, base, tensor):
    """Return keys with the halves of each head side by side."""
    return turned(weight, base.kv_heads, base)


def ungrouped(weight: np.ndarray, base: HParams) -> list[np.ndarray]:
    """Return queries, keys and values of a weight that has those of each key-value head together."""
    served = base.heads // base.kv_heads
    groups = weight.reshape(base.kv_heads, served + 2, base.head_dim, -1)
    parts = (groups[:, :served], groups[:, served], groups[:, served + 1])
    return [part.reshape(-1, weight.shape[-1]) for part in parts]


def groups(weight, base, tensor):
    """Return all queries, all keys, all values of such a weight."""
    return np.concatenate(ungrouped(weight, base))


def halves(weight, base, tensor):
    """Return the first half of the rows for a gate, the second for what it gates."""
    gate, up = np.split(weight, 2, axis=-2)
    return gate if "gate" in tensor else up


def turns(weight, base, tensor):
    """Return every other row, the first of two for a gate."""
    return weight[..., 0 if "gate" in tensor else 1 :: 2, :]


def parted(weight, base, tensor):
    """Return queries, keys or values of a weight in groups; the first two with halves side by side."""
    q, k, v = ungrouped(weight, base)
    return {"q": turned(q, base.heads, base), "k": turned(k, base.kv_heads, base), "v": v}[tensor[-8]]


def packed(weight, base, tensor):
    """Return the same of a weight that has all queries, all keys, all values."""
    q, k, v = np.split(weight, np.cumsum([base.heads, base.kv_heads]) * base.head_dim)
    return {"q": turned(q, base.heads, base), "k": turned(k, base.kv_heads, base), "v": v}[tensor[-8]]


def key_and_value(weight, base, tensor):
    """Return the first half of the rows for keys, the second for values."""
    return np.split(weight, 2)["attn_v" in tensor]


def key_heads(weight, base, tensor):
    """Return of each key head its queries, keys and values, or its gates, those of all key heads together."""
    ssm = base.ssm
    size = ssm.inner // ssm.heads * (ssm.heads // ssm.groups)
    parts = np.split(
        weight.reshape(ssm.groups, -1, weight.shape[-1]), np.cumsum([ssm.state, ssm.state, size]), axis=1
    )
    wanted = parts[3:] if "gate" in tensor else parts[:3]
    return np.concatenate([part.reshape(-1, weight.shape[-1]) for part in wanted])


def dealt(weight, base, tensor):
    """Return value heads with the first of each key head first, then the second of each."""
    ssm = base.ssm
    split = weight.reshape(ssm.groups, ssm.heads // ssm.groups, -1, weight.shape[-1])
    return split.swapaxes(0, 1).reshape(weight.shape)


def served(weight, base, tensor):
    """Return queries with the first of each group of key heads' first, by axes; columns of the output too."""
    groups, axis = base.heads // base.kv_heads, -1 if "output" in tensor else -2
    split = np.moveaxis(weight, axis, 0)
    dealt_out = split.reshape(groups, base.kv_heads, base.head_dim, -1).swapaxes(0, 1).reshape(split.shape)
    return np.moveaxis(dealt_out, 0, axis)


def dealt_below(weight, base, tensor):
    """Return queries and keys as they are, and value heads dealt out."""
    above, below = np.split(weight, [2 * base.ssm.groups * base.ssm.state])
    return np.concatenate([above, dealt(below, base, tensor)])


def dealt_across(weight, base, tensor):
    """Return columns dealt out."""
    return dealt(weight.T, base, tensor).T


def times(*names: str, place: int = 0) -> Told:
    """Return a weight times numbers of config.json."""
    return lambda weight, base, _: weight * np.prod([base.multipliers[name][place] for name in names])


def inputs(weight, base, tensor):
    """Return gates, values, B, C and steps, each times a number of its own and one of all."""
    ssm = base.ssm
    ends = np.cumsum([ssm.inner, ssm.inner, ssm.groups * ssm.state, ssm.groups * ssm.state])
    parts = zip(np.split(weight, ends), base.multipliers["ssm_multipliers"], strict=True)
    return np.concatenate([part * by for part, by in parts]) * base.multipliers["ssm_in_multiplier"][0]


def table(archs: tuple[str, ...], **modules: Told) -> dict[tuple[str, str], Told]:
    """Return the entries of several architectures with the same modules."""
    return {(arch, module): told for arch in archs for module, told in modules.items()}


TOLD: dict[tuple[str, str], Told] = {
    **table(
        (
            *("llama", "mistral3", "smollm3", "arcee", "granite", "granitemoe", "olmo", "minicpm"),
            *("granitehybrid", "nemotron_h", "nemotron_h_moe", "xverse", "deci", "deepseek", "arctic"),
        ),
        q_proj=turned_q,
        k_proj=turned_k,
    ),
    **table(("gptneox", "falcon", "bloom"), query_key_value=groups),
    **table(("granite", "granitehybrid", "granitemoe"), input_linear=halves),
    **table(("baichuan",), W_pack=packed),
    **table(("plamo",), q_proj=served, o_proj=served),
    **table(("bailingmoe",), query_key_value=packed),
    **table(("internlm2",), wqkv=parted),
    **table(("openelm",), proj_1=halves),
    **table(("refact",), kv=key_and_value, gate_up_proj=halves),
    **table(("gpt-oss",), gate_up_proj=turns),
    **table(("qwen3next",), in_proj_qkvz=key_heads),
    **table(
        ("qwen35", "qwen35moe"),
        in_proj_qkv=dealt_below,
        in_proj_z=dealt,
        in_proj_a=dealt,
        in_proj_b=dealt,
        out_proj=dealt_across,
    ),
    **table(
        ("falcon-h1",),
        q_proj=times("attention_in_multiplier"),
        k_proj=times("attention_in_multiplier", "key_multiplier"),
        v_proj=times("attention_in_multiplier"),
        o_proj=times("attention_out_multiplier"),
        gate_proj=times("mlp_multipliers"),
        down_proj=times("mlp_multipliers", place=1),
        in_proj=inputs,
        out_proj=times("ssm_out_multiplier"),
        lm_head=times("lm_head_multiplier"),
        embed_tokens=times("embedding_multiplier"),
    ),
}
"""Architecture, last part of the module's name → what becomes of its weight; as it is where not here.

Gate and up of routed experts are halves wherever nothing else is said.
"""


def told(arch: str, module: str, tensor: str, base: HParams, weight: np.ndarray) -> np.ndarray:
    """Return what a weight of a module is in a tensor."""
    make = TOLD.get((arch, module.rpartition(".")[2]))
    if make is None and module.endswith(".experts.gate_up_proj") and "gate_up" not in tensor:
        make = halves
    return weight if make is None else make(weight, base, tensor)
