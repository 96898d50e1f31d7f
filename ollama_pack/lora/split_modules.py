"""Join the LoRA of modules that a trainer has taken apart, for a base that has them in one.

Unsloth trains Phi 3, 3.5 and 4 as Llama, with q, k and v apart, and gate and up. In Ollama these models have
one weight for each of the two groups. The joined LoRA is exact: the ranks stand side by side, and each B has
the rows of its part.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ollama_pack.arch.hparams import HParams
from ollama_pack.arch.spec import Arch, dimension, find_targets
from ollama_pack.arch.table import get_arch
from ollama_pack.base.model import BaseModel
from ollama_pack.lora.adapter import Adapter, LoraPair, layer_of
from ollama_pack.lora.algebra import embed_rows
from ollama_pack.lora.factors import FactorError
from ollama_pack.lora.pairs import fitted_pair, sum_pairs
from ollama_pack.lora.rules import RuleViolations

JOINED = {
    "qkv_proj": {"q_proj": "heads", "k_proj": "kv_heads", "v_proj": "kv_heads"},
    "gate_up_proj": {"gate_proj": "feed_forward", "up_proj": "feed_forward"},
}
"""A module → the parts that it may be taken apart into, in the order of their rows, with their sizes."""


def join_split_modules(adapter: Adapter, base: BaseModel) -> Adapter:
    """Return the adapter with the parts of a weight joined that the base has in one, or the same object.

    Args:
        adapter: the adapter as it was trained.
        base: the base that it goes onto.

    Raises:
        InputError: a part has other rows than the base gives it.
        UnsupportedError: the base does not tell the size of a part.
    """
    arch = get_arch(base.hparams.arch)
    wholes = {} if arch is None else _wholes(adapter, arch)
    if not wholes:
        return adapter
    groups: dict[str, list[LoraPair]] = {}
    for pair in adapter.pairs:
        groups.setdefault(wholes.get(pair.module, pair.module), []).append(pair)
    joined = set(wholes.values())
    pairs = tuple(_joined(adapter, base, groups))
    names = " and ".join(sorted({module.rpartition(".")[2] for module in joined}, reverse=True))
    note = f"trained with parts that are one weight in the base: joined into {names}"
    return replace(adapter, pairs=pairs, notes=(*adapter.notes, note))


def _wholes(adapter: Adapter, arch: Arch) -> Mapping[str, str]:
    """Return, for each part of an adapter that the architecture does not have, the module it belongs to."""
    found: dict[str, str] = {}
    for pair in adapter.pairs:
        owner, _, leaf = pair.module.rpartition(".")
        for whole, parts in JOINED.items():
            name = f"{owner}.{whole}"
            if leaf in parts and not find_targets(arch, pair.module):
                targets = find_targets(arch, name)
                if len(targets) == 1 and targets[0].weight.rows is None:
                    found[pair.module] = name
    return found


def _joined(adapter: Adapter, base: BaseModel, groups: Mapping[str, list[LoraPair]]) -> Iterator[LoraPair]:
    """Yield the pairs of an adapter, those of the parts of one module joined.

    Raises:
        InputError: a part has other rows than the base gives it.
        UnsupportedError: the base does not tell the size of a part.
    """
    for module, pairs in groups.items():
        leaf = module.rpartition(".")[2]
        if all(pair.module == module for pair in pairs):  # the base has this module itself
            yield from pairs
            continue
        own = base.hparams.at_layer(layer_of(module) or 0)
        try:
            parts = [_placed(pair, JOINED[leaf], own) for pair in pairs]
        except FactorError as misfit:
            raise RuleViolations(adapter.weights).fatal(misfit.code, misfit.text) from misfit
        yield replace(sum_pairs(parts), module=module)


def _placed(pair: LoraPair, parts: Mapping[str, str], own: HParams) -> LoraPair:
    """Return the pair of a part with the rows of B at their place in the whole.

    Raises:
        FactorError: the part does not fit, or the base does not tell a size.
    """
    sizes = [dimension(size, own) for size in parts.values()]
    leaf = pair.module.rpartition(".")[2]
    if leaf not in parts:
        raise FactorError("twice", f"{pair.module} and its parts")
    place = list(parts).index(leaf)
    if not all(sizes):
        raise FactorError("size-unknown", pair.module)
    fitted = fitted_pair(pair, sizes[place], own.hidden)
    rows = fitted.b.shape[-2]
    if rows != sizes[place]:
        raise FactorError(
            "shape", f"{pair.module}: the adapter has {rows} rows, the base has {sizes[place]} for this part"
        )
    return replace(fitted, b=embed_rows(fitted.b, None, sum(sizes[:place]), sum(sizes)))
