"""Bring the LoRA of modules that were fused or split differently in training to the modules of the base.

Unsloth trains Phi 3, 3.5 and 4 as Llama, with q, k and v apart, and gate and up. In Ollama these models have
one weight for each of the two groups. The joined LoRA is exact: A and B are concatenated along the rank, and
each B has the rows of its part. Microsoft's own code of Phi 1 and 2 (2023) has q, k and v in one, and the
base has them
apart: each part gets the same A, and its rows of B.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ollama_pack.arch.hparams import HParams
from ollama_pack.arch.spec import Arch, dimension, find_targets
from ollama_pack.arch.table import get_arch
from ollama_pack.base.model import BaseModel
from ollama_pack.lora.adapter import Adapter, LoraPair, layer_of
from ollama_pack.lora.algebra import embed_rows, row_range
from ollama_pack.lora.factors import FactorError
from ollama_pack.lora.pairs import fitted_pair, sum_pairs
from ollama_pack.lora.unsupported import RuleViolations

JOINED = {
    "qkv_proj": {"q_proj": "heads", "k_proj": "kv_heads", "v_proj": "kv_heads"},
    "gate_up_proj": {"gate_proj": "feed_forward", "up_proj": "feed_forward"},
}
"""A module → the parts that it may be taken apart into, in the order of their rows, with their sizes."""


PHI_OF_2023 = re.compile(r"(?:transformer\.h|model\.layers)\.([0-9]{1,6})\.(mixer|mlp)\.(\w+)")
PHI_HEAD = {"lm_head.linear": "lm_head", "transformer.embd.wte": "model.embed_tokens"}
"""What Microsoft's code of 2023 calls a layer's modules, the head and the embeddings of Phi 1 and 2."""


def join_split_modules(adapter: Adapter, base: BaseModel) -> Adapter:
    """Return the adapter with its modules fused or split as in the base; if they are, the same object.

    Args:
        adapter: the adapter as it was trained.
        base: the base that it goes onto.

    Raises:
        InputError: a part has other rows than the base gives it.
        UnsupportedError: the base does not tell the size of a part.
    """
    adapter = _in_todays_modules(adapter, base)
    arch = get_arch(base.hparams.arch)
    wholes = {} if arch is None else _wholes(adapter, arch)
    if not wholes:
        return adapter
    groups: dict[str, list[LoraPair]] = {}
    for pair in adapter.pairs:
        groups.setdefault(wholes.get(pair.module, pair.module), []).append(pair)
    joined = set(wholes.values())
    pairs = tuple(_joined_pairs(adapter, base, groups))
    names = " and ".join(sorted({module.rpartition(".")[2] for module in joined}, reverse=True))
    note = f"trained with parts that are one weight in the base: joined into {names}"
    return replace(adapter, pairs=pairs, notes=(*adapter.notes, note))


def _in_todays_modules(adapter: Adapter, base: BaseModel) -> Adapter:
    """Return an adapter of Microsoft's code of Phi with the modules of transformers, else the same."""
    if base.hparams.arch != "phi2":
        return adapter
    pairs = tuple(part for pair in adapter.pairs for part in _parts_of_phi(pair))
    if pairs == adapter.pairs:
        return adapter
    note = "trained with Microsoft's own code of 2023: its modules are renamed to those of transformers"
    return replace(adapter, pairs=pairs, notes=(*adapter.notes, note))


def _parts_of_phi(pair: LoraPair) -> Iterator[LoraPair]:
    """Yield a pair under the name in transformers; q, k and v are the thirds of the rows of ``Wqkv``."""
    found = PHI_OF_2023.fullmatch(pair.module)
    if found is None:
        yield pair._replace(module=PHI_HEAD.get(pair.module, pair.module))
        return
    layer, owner, leaf = f"model.layers.{found[1]}", found[2], found[3]
    rows = pair.b.shape[-2]
    if owner == "mlp":
        yield pair._replace(module=f"{layer}.mlp.{leaf}")
    elif leaf == "out_proj":
        yield pair._replace(module=f"{layer}.self_attn.dense")
    elif leaf == "Wqkv" and rows % 3 == 0 and pair.fit is None:
        for place, name in enumerate(("q_proj", "k_proj", "v_proj")):
            part = row_range(pair.b, place * rows // 3, rows // 3)
            yield pair._replace(module=f"{layer}.self_attn.{name}", b=part)
    else:
        yield pair


def _wholes(adapter: Adapter, arch: Arch) -> Mapping[str, str]:
    """Return, for each part of an adapter that the architecture does not have, the module it belongs to."""
    found: dict[str, str] = {}
    for pair in adapter.pairs:
        owner, _, leaf = pair.module.rpartition(".")
        for whole, parts in JOINED.items():
            if leaf in parts and not find_targets(arch, pair.module):
                targets = find_targets(arch, name := f"{owner}.{whole}")
                if len(targets) == 1 and targets[0].weight.rows is None:
                    found[pair.module] = name
    return found


def _joined_pairs(
    adapter: Adapter, base: BaseModel, groups: Mapping[str, list[LoraPair]]
) -> Iterator[LoraPair]:
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
        yield sum_pairs(parts)._replace(module=module)


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
    return fitted._replace(b=embed_rows(fitted.b, None, sum(sizes[:place]), sum(sizes)))
