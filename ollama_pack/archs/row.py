"""What a row of the table says about one architecture."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ollama_pack.parts import Base

Order = tuple[int, ...]
"""Row i of the GGUF weight is row ``order[i]`` of the Hugging Face weight; a permutation."""

BLOCK = "{i}"
"""Where the block number stands in a name."""

_BLOCK_NUMBER = re.compile(r"(?<=\.)(0|[1-9][0-9]{0,5})(?=\.)")


@dataclass(frozen=True, slots=True)
class Weight:
    """One linear weight of an architecture.

    Attributes:
        module: Hugging Face's name, ``model.layers.{i}.self_attn.q_proj``.
        tensor: llama.cpp's name without ``.weight``, ``blk.{i}.attn_q``.
        rows: the row order of W, which acts on B; None where both agree.
        shape: names of the sizes of W, rows first, as `dimension` resolves them.
        optional: whether a base may lack it (an output head tied to the embeddings).
    """

    module: str
    tensor: str
    rows: Callable[[Base], Order] | None
    shape: tuple[str, str]
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Arch:
    """One architecture of llama.cpp.

    Attributes:
        name: ``general.architecture``.
        classes: the Hugging Face classes that become it.
        weights: every linear weight LoRA can be on.
    """

    name: str
    classes: tuple[str, ...]
    weights: tuple[Weight, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """Where one adapted module goes.

    Attributes:
        weight: the row of the table.
        tensor: the GGUF name, ``blk.3.attn_q.weight``.
        block: the block number, -1 outside the blocks.
    """

    weight: Weight
    tensor: str
    block: int


def find_target(arch: Arch, module: str) -> Target | None:
    """Return where a module's LoRA goes, None where the architecture has no such linear weight."""
    number = _BLOCK_NUMBER.search(module)
    if BLOCK in module:
        return None
    pattern = module if number is None else f"{module[: number.start()]}{BLOCK}{module[number.end() :]}"
    for weight in arch.weights:
        if weight.module == pattern:
            block = -1 if number is None else int(number.group())
            return Target(weight, f"{weight.tensor.replace(BLOCK, str(block))}.weight", block)
    return None


def dimension(name: str, base: Base) -> int:
    """Return a named size of a base, 0 where it is unknown.

    Raises:
        KeyError: the row names a size that does not exist.
    """
    return {
        "hidden": base.hidden,
        "heads": base.heads * base.head_dim,
        "kv_heads": base.kv_heads * base.head_dim,
        "feed_forward": base.feed_forward,
        "vocab": base.vocab,
    }[name]
