"""A base and an adapter for any row of the table, with sizes under which no order is its own inverse."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from recipes import TINY, resized

from ollama_pack.arch.hparams import StateSpace
from ollama_pack.arch.multipliers import MULTIPLIERS
from ollama_pack.arch.spec import EXPERT_INDEX, LAYER_INDEX, Kind, dimension, find_targets
from ollama_pack.base.model import BaseModel
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.adapter import Adapter, LoraPair

STATES = StateSpace(groups=2, heads=6, state=8, inner=24)
"""Three heads a group: with two, heads dealt out would be their own inverse."""

FACTORS = {
    name: tuple(2.0 ** (number + 1 + 2 * place) for place in range(count))
    for number, (name, count) in enumerate(MULTIPLIERS.items())
}
"""Powers of two, so that products with them are exact; none is 1, which would change nothing."""

UNKNOWN = 10
"""Made up for sizes that a base does not tell."""

ALPHA, RANK = 0.3, 2


def sized_base(arch, *, unknown: int = UNKNOWN, **sizes: int) -> BaseModel:
    """Return the tiny base as an architecture: untied, three experts, every weight of the row."""
    sizes = {"experts": 3, "expert_feed_forward": 8, **sizes}
    base = resized(TINY, arch=arch.name, tied=False, ssm=STATES, multipliers=FACTORS, **sizes)
    head = {"output.weight": (base.hparams.vocab, base.hparams.hidden)}
    shapes = {target.tensor: shape_of(target, base, unknown) for target in targets(arch)}
    return replace(base, tensors=head | shapes)


def named(weight, block=0, expert=1) -> str:
    return weight.module.replace(LAYER_INDEX, str(block)).replace(EXPERT_INDEX, str(expert))


def targets(arch):
    """Return every weight that can be adapted, in two blocks and with one expert."""
    modules = dict.fromkeys(named(weight, block) for weight in arch.weights for block in (0, 1))
    found = [target for module in modules for target in find_targets(arch, module)]
    return [target for target in found if not target.weight.unsupported]


def matrix(target, base, unknown: int = UNKNOWN) -> tuple[int, int]:
    """Return rows and columns of one matrix; sizes that a base does not tell are made up."""
    return tuple(dimension(size, base.hparams) or unknown for size in target.weight.shape)


def shape_of(target, base, unknown: int = UNKNOWN) -> tuple[int, ...]:
    return (base.hparams.experts,) * target.weight.has_experts + matrix(target, base, unknown)


def total(weights, base, side=0, unknown: int = UNKNOWN):
    """Return how many rows (or columns) a module has; even where a base does not tell."""
    sizes = [dimension(weight.shape[side], base.hparams) or unknown for weight in weights]
    return sum(sizes) if side == 0 else sizes[0]


def modules_of(arch):
    """Return module → the weights it becomes."""
    found = {}
    for weight in arch.weights:
        found.setdefault(weight.module, []).append(weight)
    return found


def factors_of(arch, module, base, unknown: int = UNKNOWN) -> tuple[np.ndarray, np.ndarray]:
    """Return A and B of a module as PEFT would have them, always the same."""
    found = find_targets(arch, module)
    weight = found[0].weight
    rows = total([target.weight for target in found], base, unknown=unknown)
    _, columns = matrix(found[0], base, unknown)
    if weight.kind in (Kind.EMBEDDING, Kind.EXPERTS_TRANSPOSED):
        rows, columns = columns, rows
    stack = (base.hparams.experts,) if weight.has_experts and found[0].expert < 0 else ()
    random = np.random.default_rng([5, *module.encode()])
    return (
        random.normal(0, 0.1, (*stack, RANK, columns)).astype(np.float32),
        random.normal(0, 0.1, (*stack, rows, RANK)).astype(np.float32),
    )


def adapter_of(factors, config=None) -> Adapter:
    """Return an adapter of module → A and B."""
    pairs = tuple(
        LoraPair(module, loaded(a, module), loaded(b, module), ALPHA) for module, (a, b) in factors.items()
    )
    return Adapter(Path("ada"), Path("ada") / "x", pairs, RANK, ALPHA, "", config or {})


def loaded(numbers, module) -> LazyTensor:
    return LazyTensor(Path("x"), module, numbers.shape, (), lambda: numbers)


def in_turn(arch, modules):
    """Return groups of modules in which no two are the same weight under two names."""
    groups: list[tuple[set[str], list[str]]] = []
    for module in modules:
        tensors = {target.tensor for target in find_targets(arch, module)}
        for taken, group in groups:
            if not taken & tensors:
                taken |= tensors
                group.append(module)
                break
        else:
            groups.append((tensors, [module]))
    return [group for _, group in groups]
