"""Sum several adapters into one, exactly.

Σ wᵢ·sᵢ·Bᵢ·Aᵢ is a single product if the factors are concatenated along their ranks. So the sum is exact, and
the rank of a weight is the sum of the ranks that the adapters give it.
"""

from collections.abc import Sequence
from dataclasses import replace

from ollama_pack.errors import InputError, UnsupportedError, natural_key
from ollama_pack.lora.adapter import Adapter, LoraPair
from ollama_pack.lora.pairs import scale_pair, sum_pairs
from ollama_pack.lora.peft.config import alters_base
from ollama_pack.lora.replication import REPLICATION

LESS_START_WEIGHTS = (1.0, -1.0)
"""The weights that subtract a second adapter from the first."""


def scale_adapter(adapter: Adapter, scale: float) -> Adapter:
    """Return the adapter with every ΔW multiplied by a number. If it is 1, the same object is returned."""
    if scale == 1.0:
        return adapter
    if adapter.by_peft:
        raise UnsupportedError(
            f"PEFT cannot scale an adapter of {adapter.method}.",
            where=adapter.directory,
            hint="leave out --scale and --weight",
            code="not-mergeable",
        )
    pairs = tuple(scale_pair(pair, scale) for pair in adapter.pairs)
    return replace(adapter, pairs=pairs, notes=(*adapter.notes, f"scaled by {scale:g}"))


def sum_adapters(adapters: Sequence[Adapter], weights: Sequence[float]) -> Adapter:
    """Return one adapter whose ΔW is the weighted sum of all ΔW. Its name and base are those of the first.

    Args:
        adapters: the adapters to sum, at least one.
        weights: the factor of each adapter.

    Raises:
        UnsupportedError: an adapter has tensors besides A and B, the adapters were trained on different
            layers or become active after different tokens (aLoRA), or only some take the size of their
            factors from the base (VeRA).
        InputError: two adapters have different shapes for the same module.
    """
    first = adapters[0]
    if len(adapters) == 1:
        return scale_adapter(first, weights[0])
    _require_summable(adapters)
    modules: dict[str, list[LoraPair]] = {}
    for adapter, weight in zip(adapters, weights, strict=True):
        for pair in adapter.pairs:
            modules.setdefault(pair.module, []).append(scale_pair(pair, weight))
    for module, pairs in modules.items():
        shapes = {(pair.b.shape[:-1], pair.a.shape[:-2], pair.a.shape[-1]) for pair in pairs}
        if len(shapes) > 1:
            raise InputError(
                f"The adapters do not match: {module} has a different shape in each.", where=first.weights
            )
    summed = tuple(sum_pairs(modules[module]) for module in sorted(modules, key=natural_key))
    terms = " + ".join(
        f"{weight:g} × {adapter.directory.name}" for adapter, weight in zip(adapters, weights, strict=True)
    )
    notes = tuple(note for adapter in adapters for note in adapter.notes)
    return replace(first, pairs=summed, copies=(), notes=(*notes, f"the sum {terms}"))


def require_its_start(adapter: Adapter, start: Adapter) -> None:
    """Require that `start` may be the initial state of an adapter that altered its base.

    PiSSA and similar initialisations subtract the first B·A from the base, so the change of the original base
    is the difference. From an adapter that altered nothing, any other one may be subtracted.

    Raises:
        UnsupportedError: modules, ranks or scales differ, or only the second adapter altered its base.
    """
    altered = [alters_base(each.config) for each in (adapter, start)]
    if not any(altered):
        return
    shapes = [
        [(pair.module, pair.a.shape, pair.b.shape, pair.scale) for pair in each.pairs]
        for each in (adapter, start)
    ]
    if not altered[0] or shapes[0] != shapes[1]:
        raise UnsupportedError(
            "This is not the adapter before training: its modules, ranks or scales are different.",
            where=start.directory,
            hint="the adapter that the same training saved before its first step, as the second directory",
            code="not-its-start",
        )


def _require_summable(adapters: Sequence[Adapter]) -> None:
    """Raise UnsupportedError if the sum of the adapters is not an adapter of A and B."""
    first = adapters[0]
    for each in adapters:
        if each.beside or each.by_peft:
            first_of = (*(trained.tensor for trained in each.beside), *(m.tensors[0] for m in each.by_peft))
            raise UnsupportedError(
                "The adapter has tensors besides A and B, and these cannot be summed.",
                where=f"{each.weights}: {first_of[0].name}",
                hint="build each adapter by itself",
                code="not-mergeable",
            )
    for other in adapters[1:]:
        if other.config.get(REPLICATION) != first.config.get(REPLICATION):
            raise UnsupportedError(
                "The adapters were trained on different layers, so they cannot be summed.",
                where=f"{other.directory}: {REPLICATION}",
                hint="build each adapter by itself",
                code="not-mergeable",
            )
        if other.invocation != first.invocation:
            raise UnsupportedError(
                "The adapters become active after different tokens, so they cannot be summed.",
                where=f"{other.directory}: alora_invocation_tokens",
                hint="build each adapter by itself",
            )
        fits = [any(pair.fit for pair in each.pairs) for each in (first, other)]
        if any(fits) and (first.method != other.method or not all(fits)):
            label = (first if fits[0] else other).method
            raise UnsupportedError(
                f"{label} takes the size of A and B from the base, so it can be summed only with {label}.",
                where=other.directory,
                hint="build each adapter by itself",
            )
