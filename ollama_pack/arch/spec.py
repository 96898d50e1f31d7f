"""What a row of the table says about one architecture."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from ollama_pack.arch.hparams import HParams

Permutation = tuple[int, ...]
"""Row i of the GGUF weight is row ``order[i]`` of the Hugging Face weight, or the same of columns."""

PermutationFn = Callable[[HParams, int], Permutation]
"""A base, and how many rows (or columns) a module has → those that a tensor takes, in its order.

It is a permutation, or the tensors of the module share its rows out: each row goes into one of them. Where
the number is not what the base's sizes make, no order is one, and whoever asks must look.
"""

RowScaleFn = Callable[[HParams, int], tuple[float, ...]]
"""A base, and how many rows a module has → what each of them is multiplied with."""

LAYER_INDEX, EXPERT_INDEX = "{i}", "{e}"
"""Where the number of the block, and of the expert in it, stands in a name."""

_INDEX = re.compile(r"(?<=\.)(0|[1-9][0-9]{0,5})(?=\.)")


class Kind(Enum):
    """How llama.cpp holds the LoRA of a weight."""

    LINEAR = "linear"
    """A is rank × in, B is out × rank."""

    EMBEDDING = "embedding"
    """Looked up, not multiplied: A is vocabulary × rank, B is hidden × rank."""

    EXPERTS = "experts"
    """One matrix an expert: A is experts × rank × in, B is experts × out × rank."""

    EXPERTS_IN_OUT = "experts, stored in × out"
    """The same; transformers keeps W the other way round, and PEFT knows (``is_transposed``)."""

    EXPERTS_TRANSPOSED = "experts, stored in × out unknown to PEFT"
    """The same; PEFT takes in for out, so its A and B are those of the transposed ΔW."""


NOT_APPLIED = "ignored"
"""The rule of a weight whose LoRA llama.cpp loads and never applies."""


@dataclass(frozen=True, slots=True)
class Weight:
    """One linear weight of an architecture.

    Attributes:
        module: Hugging Face's name, ``model.layers.{i}.self_attn.q_proj``.
        tensor: llama.cpp's name without ``.weight``, ``blk.{i}.attn_q``.
        rows: the row order of W, which acts on B; None where both agree. Of a fused module it takes the
            tensor's part, and the other rows have a line of their own.
        shape: names of the sizes of the tensor, rows first, as `dimension` resolves them; of one expert.
        optional: whether a base may lack it (an output head tied to the embeddings).
        kind: how its LoRA is held.
        unsupported: the rule of ``fates.py`` that keeps LoRA from it; empty where none does.
        columns: the column order of W, which acts on A; None where both agree.
        scale: what the rows of W are multiplied with, before they are moved; None where they are not.
        dense_tensor: the tensor's name in a base without experts, where that is another.
    """

    module: str
    tensor: str
    rows: PermutationFn | None
    shape: tuple[str, str]
    optional: bool = False
    kind: Kind = Kind.LINEAR
    unsupported: str = ""
    columns: PermutationFn | None = None
    scale: RowScaleFn | None = None
    dense_tensor: str = ""

    def tensor_name(self, mixture: bool) -> str:
        """Return the tensor's name in a base with experts, or without."""
        return self.tensor if mixture or not self.dense_tensor else self.dense_tensor

    @property
    def needs_ssm_sizes(self) -> bool:
        """Return whether it needs sizes of blocks that carry a state, which a model's name does not tell."""
        ordered = self.rows is not None or self.columns is not None
        return self.dense_tensor != "" or (ordered and any(size.startswith("ssm") for size in self.shape))

    @property
    def has_experts(self) -> bool:
        """Return whether its tensor holds a matrix for every expert."""
        return self.kind in (Kind.EXPERTS, Kind.EXPERTS_IN_OUT, Kind.EXPERTS_TRANSPOSED)


@dataclass(frozen=True, slots=True)
class Arch:
    """One architecture of llama.cpp.

    Attributes:
        name: ``general.architecture``.
        hf_classes: the Hugging Face classes that become it.
        weights: every linear weight LoRA can be on.
        tied: whether head and embeddings are one weight where config.json does not say; the default of its
            class in transformers.
        alternatives: the rows that its classes may be instead, as config.json says.
    """

    name: str
    hf_classes: tuple[str, ...]
    weights: tuple[Weight, ...]
    tied: bool = False
    alternatives: tuple[str, ...] = ()

    @property
    def needs_ssm_sizes(self) -> bool:
        """Return whether one of its weights needs sizes that a model's name does not tell."""
        return any(weight.needs_ssm_sizes for weight in self.weights)

    @property
    def has_heads(self) -> bool:
        """Return whether it has attention anywhere."""
        return any("heads" in weight.shape or "qkv" in weight.shape for weight in self.weights)


@dataclass(frozen=True, slots=True)
class Target:
    """Where one adapted module goes, or a part of its rows.

    Attributes:
        weight: the row of the table.
        tensor: the GGUF name, ``blk.3.attn_q.weight``.
        block: the block number, -1 outside the blocks.
        expert: the number of the only expert the module belongs to, -1 for all or none.
    """

    weight: Weight
    tensor: str
    block: int
    expert: int = -1


def find_targets(arch: Arch, module: str, *, mixture: bool = True) -> tuple[Target, ...]:
    """Return where a module's LoRA goes, nowhere where the architecture has no such linear weight.

    Args:
        arch: the row.
        module: its name in Hugging Face's model.
        mixture: whether the base has experts.
    """
    if LAYER_INDEX in module or EXPERT_INDEX in module:
        return ()
    parts = _INDEX.split(module)  # every second one is a number
    numbers = parts[1::2]
    block, expert = (*map(int, numbers), -1, -1)[:2]
    parts[1::2] = (LAYER_INDEX, EXPERT_INDEX, *numbers[2:])[: len(numbers)]
    pattern = "".join(parts)
    return tuple(
        Target(
            weight, f"{weight.tensor_name(mixture).replace(LAYER_INDEX, str(block))}.weight", block, expert
        )
        for weight in arch.weights
        if weight.module == pattern
    )


def dimension(name: str, hparams: HParams) -> int:
    """Return a named size of a base, 0 where it is unknown.

    Raises:
        KeyError: the row names a size that does not exist.
    """
    keys = hparams.ssm.groups * hparams.ssm.state
    return {
        "hidden": hparams.hidden,
        "heads": hparams.heads * hparams.head_dim,
        "kv_heads": hparams.kv_heads * hparams.head_dim,
        "qkv": (hparams.heads + 2 * hparams.kv_heads) * hparams.head_dim,
        "feed_forward": hparams.feed_forward,
        "expert_feed_forward": hparams.expert_feed_forward,
        "experts": hparams.experts,
        "vocab": hparams.vocab,
        "gated_heads": 2 * hparams.heads * hparams.head_dim,
        "ssm_heads": hparams.ssm.heads,
        "ssm_inner": hparams.ssm.inner,
        "ssm_qkv": 2 * keys + hparams.ssm.inner if keys else 0,
        "ssm_in": 2 * hparams.ssm.inner + 2 * keys + hparams.ssm.heads if keys else 0,
        "unknown": 0,
    }[name]
