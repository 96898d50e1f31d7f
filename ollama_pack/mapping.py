"""MAP  Adapter × Base × Arch → LoraPlan. Touches no disk."""

import re
import struct
from collections import Counter
from collections.abc import Sequence

from ollama_pack.archs import Arch, Target, dimension, find_arch, find_target
from ollama_pack.errors import InputError, UnsupportedError, listing
from ollama_pack.parts import Adapter, Base, LoraPair, LoraPlan, LoraTensor

FLOAT32_EPSILON = 2.0**-23

_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*")


def map_adapter(adapter: Adapter, base: Base) -> LoraPlan:
    """Return what a GGUF LoRA file for this base must hold.

    A file has one alpha, and llama.cpp multiplies B·A with alpha / rank of the tensor. The alpha
    most pairs have is written; for the others the difference is folded into B.

    Raises:
        UnsupportedError: the architecture has no row, or modules have no place in the file.
        InputError: shapes or block numbers disagree with the base.
    """
    arch = find_arch(base.arch)
    targets = find_targets(adapter, arch)
    _check_against_base(adapter, targets, base)
    alpha = _common_alpha(adapter.pairs)
    tensors: list[LoraTensor] = []
    for pair, target in zip(adapter.pairs, targets, strict=True):
        rows = target.weight.rows
        tensors.append(LoraTensor(f"{target.tensor}.lora_a", pair.a))
        tensors.append(
            LoraTensor(
                f"{target.tensor}.lora_b",
                pair.b,
                order=None if rows is None else rows(base),
                factor=_factor(pair.alpha, alpha),
            )
        )
    return LoraPlan(arch=arch.name, alpha=alpha, tensors=tuple(tensors), metadata=_metadata(adapter, base))


def find_targets(adapter: Adapter, arch: Arch) -> tuple[Target, ...]:
    """Return where each pair goes, in the order of the pairs.

    Raises:
        UnsupportedError: some modules have no place; all are named.
    """
    found = [find_target(arch, pair.module) for pair in adapter.pairs]
    missing = [pair.module for pair, target in zip(adapter.pairs, found, strict=True) if target is None]
    if missing:
        raise UnsupportedError(
            listing(f"These modules have no linear weight in the architecture {arch.name!r}:", missing),
            where=adapter.weights,
            hint="ollama-pack archs NAME  lists the modules that can be adapted; is the base the right one?",
        )
    return tuple(target for target in found if target is not None)


def _check_against_base(adapter: Adapter, targets: Sequence[Target], base: Base) -> None:
    problems, tied = [], []
    for pair, target in zip(adapter.pairs, targets, strict=True):
        if target.weight.optional and base.tensors is None:
            tied.append(
                f"{pair.module}: whether the base has {target.tensor} is known from its GGUF file only"
            )
        elif target.weight.optional and base.tensors is not None and target.tensor not in base.tensors:
            tied.append(f"{pair.module}: the base has no {target.tensor}, its output reuses the embeddings")
        elif misfit := _misfit(pair, target, base):
            problems.append(f"{pair.module}: {misfit}")
    if tied:
        raise UnsupportedError(
            listing("LoRA on the output head needs a base with a head of its own:", tied),
            where=adapter.weights,
            hint="--base FILE.gguf of an untied base, or train without lm_head",
        )
    if problems:
        raise InputError(
            listing(f"The adapter does not fit the base ({base.origin}):", problems),
            where=adapter.weights,
            hint="--base with the model the adapter was trained on; adapter_config.json names "
            + (adapter.base_id or "none"),
        )


def _misfit(pair: LoraPair, target: Target, base: Base) -> str:
    """Return why a pair does not fit its weight in the base, empty where it does."""
    shape = (pair.b.shape[0], pair.a.shape[1])
    sizes = tuple(dimension(name, base) for name in target.weight.shape)
    if base.tensors is None:
        if target.block >= base.blocks:
            return f"the base has {base.blocks} blocks"
        wanted = tuple(size or real for size, real in zip(sizes, shape, strict=True))
    elif target.tensor in base.tensors:
        wanted = tuple(base.tensors[target.tensor])
    else:
        return f"the base has no {target.tensor}"
    if shape != wanted:
        return f"{_times(shape)} adapts, {_times(wanted)} is in the base"
    if target.weight.rows is not None and (sizes[0] != shape[0] or base.head_dim % 2):
        # a header that lies about its heads would make an order that is no permutation of the rows
        return f"{shape[0]} rows adapt, {sizes[0]} rows in heads of {base.head_dim} are in the base"
    return ""


def _common_alpha(pairs: Sequence[LoraPair]) -> float:
    """Return the alpha most pairs have (the smallest of equals), rounded to the float32 of the file."""
    counts = Counter(pair.alpha for pair in pairs)
    alpha = min(counts, key=lambda value: (-counts[value], value))
    rounded: float = struct.unpack("<f", struct.pack("<f", alpha))[0]
    return rounded


def _factor(wanted: float, written: float) -> float:
    """Return what B is multiplied with; rounding alpha to float32 alone is no reason to touch B."""
    factor = wanted / written
    return 1.0 if abs(factor - 1.0) <= FLOAT32_EPSILON else factor


def _metadata(adapter: Adapter, base: Base) -> dict[str, str | int]:
    """Return the lineage for ``general.*``: ids only, never a path."""
    source = adapter.base_id if _is_hub_id(adapter.base_id) else base.source_id
    if not source:
        return {}
    organisation, _, name = source.rpartition("/")
    if not organisation:
        return {"general.base_model.count": 1, "general.base_model.0.name": name}
    return {
        "general.base_model.count": 1,
        "general.base_model.0.name": name,
        "general.base_model.0.organization": organisation,
        "general.base_model.0.repo_url": f"https://huggingface.co/{source}",
    }


def _is_hub_id(text: str) -> bool:
    return _HUB_ID.fullmatch(text) is not None


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
