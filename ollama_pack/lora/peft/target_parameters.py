"""Find the parameter that a LoRA on bare parameters adapts (PEFT's ``target_parameters``).

PEFT wraps a module once for each adapted parameter, with the first parameter innermost (``ParamWrapper`` in
``peft/tuners/lora/layer.py``). If ``gate_up_proj`` and ``down_proj`` are both adapted,
``experts.base_layer.lora_A`` belongs to ``gate_up_proj`` and ``experts.lora_A`` to ``down_proj``. The factors
of all experts are stored in two matrices.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.algebra import expert_a, expert_b
from ollama_pack.lora.factors import FactorError, shape_of
from ollama_pack.lora.peft.keys import TensorKey

PARAMETER_WEIGHT = "weight"
"""The parameter of a linear module. LoRA on it is the same as LoRA on the module."""

DECLARED = ("gate_up_proj", "gate_proj", "up_proj", "down_proj")
"""The parameters of experts in the order in which transformers declares them and PEFT wraps them."""


class AdaptedParameter(NamedTuple):
    """The module or the bare parameter that a pair of factors adapts.

    Attributes:
        module: the name of the module or parameter in the architecture table.
        key: its name in the trained model, which the patterns of the configuration are matched with.
        bare: whether it is a bare parameter and not a module.
    """

    module: str
    key: str
    bare: bool = False


def parameter_of(key: TensorKey, config: Mapping[str, Any]) -> AdaptedParameter:
    """Return what a factor adapts, from its module and the depth of its wrapper."""
    module, trained = key.module, key.trained or key.module
    targets = config.get("target_parameters")
    if not isinstance(targets, list) or not targets:
        return AdaptedParameter(module, trained)
    names = [
        name.rpartition(".")[2]
        for name in targets
        if isinstance(name, str) and _owns(trained, *name.rpartition(".")[::2])
    ]
    names = sorted(set(names), key=lambda name: (DECLARED.index(name) if name in DECLARED else -1, name))
    index = len(names) - 1 - key.depth
    if not 0 <= index < len(names):
        return AdaptedParameter(module, trained)
    name = names[index]
    return AdaptedParameter(
        module if name == PARAMETER_WEIGHT else f"{module}.{name}", f"{trained}.{name}", bare=True
    )


def _owns(module: str, owner: str, name: str) -> bool:
    """Return whether a module has the target parameter; PEFT accepts its full name or only the end."""
    if owner:
        return f".{module}".endswith(f".{owner}")
    return name == PARAMETER_WEIGHT or module.rpartition(".")[2] == "experts"


def split_experts(owner: AdaptedParameter, parts: Mapping[str, Tensor], rank: int) -> Mapping[str, Tensor]:
    """Return the factors of a parameter, split into one matrix for each expert if it has experts.

    PEFT stores A as (experts · rank) × in and B as out × (rank · experts). The result has A as
    experts × rank × in and B as experts × out × rank. Other factors are returned unchanged.

    Raises:
        FactorError: the two factors differ in the number of experts or in their rank.
    """
    a, b = parts.get("lora_A"), parts.get("lora_B")
    if not owner.bare or a is None or b is None or len(a.shape) != 2 or a.shape[0] == rank:
        return parts
    experts, rest = divmod(a.shape[0], rank)
    if rest or not experts or b.shape[1:] != a.shape[:1]:
        raise FactorError(
            "rank", f"{owner.module}: A {shape_of(a)} and B {shape_of(b)} do not hold experts of rank {rank}"
        )
    return {"lora_A": expert_a(a, experts), "lora_B": expert_b(b, experts)}
