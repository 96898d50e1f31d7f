"""What llama.cpp wants of weights that Hugging Face has otherwise, told without a permutation: by axes."""

from collections.abc import Callable

import numpy as np

from ollama_pack.parts import Base

Told = Callable[[np.ndarray, Base, str], np.ndarray]
"""A weight (rows × columns, or experts in front), its base, the tensor's last name → the tensor."""


def turned(weight: np.ndarray, heads: int, base: Base) -> np.ndarray:
    """Return a weight with the two halves of each head side by side."""
    split = weight.reshape(heads, 2, base.head_dim // 2, -1)
    return split.swapaxes(1, 2).reshape(weight.shape)


def turned_q(weight, base, tensor):
    """Return queries with the halves of each head side by side."""
    return turned(weight, base.heads, base)


def turned_k(weight, base, tensor):
    """Return keys with the halves of each head side by side."""
    return turned(weight, base.kv_heads, base)


def ungrouped(weight: np.ndarray, base: Base) -> list[np.ndarray]:
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


TOLD: dict[tuple[str, str], Told] = {
    **{
        (arch, f"self_attn.{module}"): told
        for arch in ("llama", "mistral3", "smollm3", "arcee", "granite", "granitemoe", "olmo", "minicpm")
        for module, told in (("q_proj", turned_q), ("k_proj", turned_k))
    },
    **{(arch, "query_key_value"): groups for arch in ("gptneox", "falcon", "bloom")},
    **{
        (arch, "experts.gate_up_proj"): halves
        for arch in ("llama", "qwen2moe", "qwen3moe", "olmoe", "deepseek2", "glm4moe")
    },
    ("gpt-oss", "experts.gate_up_proj"): turns,
}
"""Architecture, end of the module's name → what becomes of its weight; nothing does where it is not here."""


def told(arch: str, module: str, tensor: str, base: Base, weight: np.ndarray) -> np.ndarray:
    """Return what a weight of a module is in a tensor."""
    for (name, end), make in TOLD.items():
        if name == arch and module.endswith(f".{end}"):
            return make(weight, base, tensor)
    return weight
