"""The types that a row of the architecture table is made of."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from ollama_pack.arch.hparams import HParams

Permutation = tuple[int, ...]
"""Source indices: row (or column) i of the GGUF weight is row (or column) ``order[i]`` in Hugging Face's."""

PermutationFn = Callable[[HParams, int], Permutation]
"""Function (sizes of the base, number of rows or columns of a module) → source indices of one tensor.

Over all tensors of a module, the indices are a partition of ``range(rows)``. That holds only if `rows` is
the number that the sizes of the base give; the caller must check it (docs/decisions.md, "One kind of
function moves rows, and the mapping checks it").
"""

RowScaleFn = Callable[[HParams, int], tuple[float, ...]]
"""Function (sizes of the base, number of rows of a module) → the factor of each row."""

LAYER_INDEX, EXPERT_INDEX = "{i}", "{e}"
"""Placeholders for the number of the layer, and of the expert, in names of modules and tensors."""

_INDEX = re.compile(r"(?<=\.)(0|[1-9][0-9]{0,5})(?=\.)")
_LAST_INDEX = re.compile(r"(.*\.)(0|[1-9][0-9]{0,5})(\..*)", re.DOTALL)


class Kind(Enum):
    """How llama.cpp stores the LoRA of a weight."""

    LINEAR = "linear"
    """A is rank × in, B is out × rank."""

    EMBEDDING = "embedding"
    """The weight is looked up, not multiplied: A is vocabulary × rank, B is hidden × rank."""

    EXPERTS = "experts"
    """The weight has one matrix for each expert: A is experts × rank × in, B is experts × out × rank."""

    EXPERTS_IN_OUT = "experts, stored in × out"
    """As `EXPERTS`, but transformers stores W as in × out, and PEFT handles it (``is_transposed``)."""

    EXPERTS_TRANSPOSED = "experts, stored in × out unknown to PEFT"
    """As `EXPERTS_IN_OUT`, but PEFT takes in for out, so its A and B factor the transposed ΔW."""


NOT_APPLIED = "ignored"
"""Code of the rule for a weight whose LoRA llama.cpp would load but never apply."""


class Weight(NamedTuple):
    """One linear weight of an architecture.

    Attributes:
        module: the name of the module in Hugging Face's model, ``model.layers.{i}.self_attn.q_proj``.
        tensor: the name of the tensor in llama.cpp, without ``.weight``, ``blk.{i}.attn_q``.
        rows: the row order of W, which acts on B, or None if both sides have the same order. For a fused
            module it selects the rows of this tensor; the module's other tensors have Weights of their own.
        shape: the names of the sizes of the tensor, rows first, as `dimension` resolves them. For experts
            they are the sizes of one expert.
        optional: whether a base may lack the tensor (an output head tied to the embedding).
        kind: how llama.cpp stores the LoRA.
        unsupported: the code of the rule (``lora/unsupported.py``) that excludes LoRA on this weight, or an
            empty string.
        columns: the column order of W, which acts on A, or None if both sides have the same order.
        scale: the function that gives the factor of each row of W, applied before the row order, or None if
            the converter does not scale the weight.
        dense_tensor: the name of the tensor in a base without experts, if that name is different.
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
        """Return the name of the tensor in a base with experts (`mixture`) or in a dense one."""
        return self.tensor if mixture or not self.dense_tensor else self.dense_tensor

    @property
    def needs_ssm_sizes(self) -> bool:
        """Return whether the weight needs sizes of Mamba or delta-net layers, which no model name tells."""
        ordered = self.rows is not None or self.columns is not None
        return self.dense_tensor != "" or (ordered and any(size.startswith("ssm") for size in self.shape))

    @property
    def has_experts(self) -> bool:
        """Return whether the tensor holds one matrix for each expert."""
        return self.kind in (Kind.EXPERTS, Kind.EXPERTS_IN_OUT, Kind.EXPERTS_TRANSPOSED)


@dataclass(frozen=True, slots=True, eq=False)
class Arch:
    """One architecture of llama.cpp, which is equal to no other.

    Attributes:
        name: the architecture in GGUF files (``general.architecture``).
        hf_classes: the Hugging Face classes that llama.cpp converts to this architecture.
        weights: every linear weight that LoRA can be trained on.
        tied: whether head and embedding are one weight if config.json does not say; it is the default of
            the class in transformers.
        alternatives: names of the architectures that the same classes can become, depending on config.json.
    """

    name: str
    hf_classes: tuple[str, ...]
    weights: tuple[Weight, ...]
    tied: bool = False
    alternatives: tuple[str, ...] = ()

    @property
    def needs_ssm_sizes(self) -> bool:
        """Return whether one of the weights needs sizes of Mamba or delta-net layers."""
        return any(weight.needs_ssm_sizes for weight in self.weights)

    @property
    def has_heads(self) -> bool:
        """Return whether any layer has attention."""
        return any("heads" in weight.shape or "qkv" in weight.shape for weight in self.weights)


class Target(NamedTuple):
    """The tensor that an adapted module, or a part of its rows, goes to.

    Attributes:
        weight: the entry in the table.
        tensor: the GGUF name of the tensor, ``blk.3.attn_q.weight``.
        block: the number of the layer, or -1 if the tensor is outside the layers.
        expert: the number of the expert that the module belongs to, or -1 if it belongs to all or to none.
    """

    weight: Weight
    tensor: str
    block: int
    expert: int = -1


def find_targets(arch: Arch, module: str, *, mixture: bool = True) -> tuple[Target, ...]:
    """Return the tensors a module's LoRA goes to: none if the architecture has no such linear weight.

    Args:
        arch: the architecture.
        module: the name of the module in Hugging Face's model.
        mixture: whether the base has experts.
    """
    found = _LAST_INDEX.fullmatch(module)
    if found is not None:
        before, number, after = found.groups()
        first = _targets_of(arch, f"{before}0{after}", mixture)
        if first and first[0].expert == 0:  # else it is the number of the layer
            return tuple([Target(weight, tensor, block, int(number)) for weight, tensor, block, _ in first])
    return _targets_of(arch, module, mixture)


@lru_cache(maxsize=256)  # Tens of thousands of experts differ from the first one in their number alone.
def _targets_of(arch: Arch, module: str, mixture: bool) -> tuple[Target, ...]:
    """Return the tensors that the LoRA of a module goes to."""
    # A literal placeholder in an adapter's file must not match a pattern of the table.
    if LAYER_INDEX in module or EXPERT_INDEX in module:
        return ()
    parts = _INDEX.split(module)  # every second part is a number
    numbers = parts[1::2]
    block, expert = (*map(int, numbers), -1, -1)[:2]
    parts[1::2] = (LAYER_INDEX, EXPERT_INDEX, *numbers[2:])[: len(numbers)]
    pattern = "".join(parts)
    weights = [weight for weight in arch.weights if weight.module == pattern]
    if (
        not weights and module
    ):  # a model that was loaded without its head has no name for its body: h.0, layers.0
        bare = pattern.removeprefix("model.")
        weights = [weight for weight in arch.weights if weight.module.partition(".")[2] == bare]
    return tuple(
        Target(
            weight, f"{weight.tensor_name(mixture).replace(LAYER_INDEX, str(block))}.weight", block, expert
        )
        for weight in weights
    )


def unknown_sizes(arch: Arch, hparams: HParams) -> tuple[str, ...]:
    """Return what a conversion needs to know of a base of this architecture and does not, in words.

    Heads and blocks are always known. A base of an architecture that has dense layers as well may have no
    experts; without such layers, none means unknown.
    """
    expert = [weight.has_experts or EXPERT_INDEX in weight.module for weight in arch.weights]
    dense = [weight for weight in arch.weights if "feed_forward" in weight.shape]
    unknown = {
        "the multipliers of its weights": any(weight.scale for weight in arch.weights)
        and not hparams.multipliers,
        "the sizes of its states": arch.needs_ssm_sizes and not hparams.ssm.heads,
        "the number of its experts": any(expert) and not dense and not hparams.experts,
    }
    return tuple(words for words, lacks in unknown.items() if lacks)


def dimension(name: str, hparams: HParams) -> int:
    """Return a size of the base by its name in `Weight.shape`, or 0 if the base does not tell it.

    Raises:
        KeyError: there is no size of this name.
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
