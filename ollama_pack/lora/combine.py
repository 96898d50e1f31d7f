"""SUM  several adapters → one, exactly.

Σ wᵢ·sᵢ·Bᵢ·Aᵢ is one product again when the ranks are put side by side, so nothing is lost, and the rank
of a weight is the sum of the ranks of the adapters that adapt it.
"""

from collections.abc import Sequence
from dataclasses import replace

from ollama_pack.errors import InputError, UnsupportedError, natural_key
from ollama_pack.lora.adapter import Adapter, LoraPair
from ollama_pack.lora.pairs import scale_pair, sum_pairs


def scale_adapter(adapter: Adapter, scale: float) -> Adapter:
    """Return an adapter whose every ΔW is multiplied with a number; itself where that is 1."""
    if scale == 1.0:
        return adapter
    pairs = tuple(scale_pair(pair, scale) for pair in adapter.pairs)
    return replace(adapter, pairs=pairs, notes=(*adapter.notes, f"scaled by {scale:g}"))


def sum_adapters(adapters: Sequence[Adapter], weights: Sequence[float]) -> Adapter:
    """Return one adapter whose ΔW is the weighted sum of those of all; the first one lends its name and base.

    Raises:
        UnsupportedError: they become active at different tokens (aLoRA), or differ in their base.
        InputError: a module has one shape in one adapter and another in the next.
    """
    first = adapters[0]
    if len(adapters) == 1:
        return scale_adapter(first, weights[0])
    _require_alike(adapters)
    modules: dict[str, list[LoraPair]] = {}
    for adapter, weight in zip(adapters, weights, strict=True):
        for pair in adapter.pairs:
            modules.setdefault(pair.module, []).append(scale_pair(pair, weight))
    for module, pairs in modules.items():
        shapes = {(pair.b.shape[:-1], pair.a.shape[:-2], pair.a.shape[-1]) for pair in pairs}
        if len(shapes) > 1:
            raise InputError(
                f"The adapters do not fit each other: {module} has several shapes.", where=first.weights
            )
    summed = tuple(sum_pairs(modules[module]) for module in sorted(modules, key=natural_key))
    terms = " + ".join(
        f"{weight:g} × {adapter.directory.name}" for adapter, weight in zip(adapters, weights, strict=True)
    )
    notes = tuple(note for adapter in adapters for note in adapter.notes)
    return replace(first, pairs=summed, notes=(*notes, f"the sum {terms}"))


def _require_alike(adapters: Sequence[Adapter]) -> None:
    first = adapters[0]
    for other in adapters[1:]:
        if other.invocation != first.invocation:
            raise UnsupportedError(
                "The adapters become active at different tokens, so they have no sum.",
                where=f"{other.directory}: alora_invocation_tokens",
                hint="build each of them by itself",
            )
        if (first.method == "VeRA") != (other.method == "VeRA"):
            raise UnsupportedError(
                "VeRA shares its A between weights of all widths, so it is summed with VeRA only.",
                where=other.directory,
                hint="build each of them by itself",
            )
