"""READ  which parameter a LoRA on bare parameters belongs to (PEFT's ``target_parameters``).

PEFT wraps a module once for each of its parameters, so that the factors of the first one lie deepest:
``experts.base_layer.lora_A`` is that of ``gate_up_proj`` where both are adapted, ``experts.lora_A`` that of
``down_proj``. The factors of all experts are in two matrices.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.algebra import expert_a, expert_b
from ollama_pack.lora.peft.keys import TensorKey
from ollama_pack.lora.peft.methods import FactorError, shape_of

PARAMETER_WEIGHT = "weight"
"""The parameter of a linear module: LoRA on it is LoRA on the module."""

DECLARED = ("gate_up_proj", "gate_proj", "up_proj", "down_proj")
"""The parameters of experts in the order transformers declares them, and PEFT wraps them."""


class AdaptedParameter(NamedTuple):
    """What a pair of factors adapts.

    Attributes:
        module: the module or parameter, as the table of architectures names it.
        key: what patterns of the configuration are matched with: the name in the model it was trained in.
        bare: whether it is a parameter, not a module.
    """

    module: str
    key: str
    bare: bool = False


def parameter_of(spelled: TensorKey, config: Mapping[str, Any]) -> AdaptedParameter:
    """Return what the factors of a module, so many wrappers below it, adapt."""
    module, trained = spelled.module, spelled.trained or spelled.module
    wanted = config.get("target_parameters")
    names = [
        name.rpartition(".")[2]
        for name in (wanted if isinstance(wanted, list) else [])
        if isinstance(name, str) and _owns(trained, *name.rpartition(".")[::2])
    ]
    names = sorted(set(names), key=lambda name: (DECLARED.index(name) if name in DECLARED else -1, name))
    place = len(names) - 1 - spelled.depth
    if not 0 <= place < len(names):
        return AdaptedParameter(module, trained)
    name = names[place]
    return AdaptedParameter(
        module if name == PARAMETER_WEIGHT else f"{module}.{name}", f"{trained}.{name}", bare=True
    )


def _owns(module: str, owner: str, name: str) -> bool:
    """Return whether a module has the parameter that PEFT was told by a name, or by its end."""
    if owner:
        return f".{module}".endswith(f".{owner}")
    return name == PARAMETER_WEIGHT or module.rpartition(".")[2] == "experts"


def split_experts(owner: AdaptedParameter, parts: Mapping[str, Tensor], rank: int) -> Mapping[str, Tensor]:
    """Return the factors of a parameter one matrix an expert, where it has experts.

    Raises:
        MisfitError: the two factors are not of the same experts and rank.
    """
    a, b = parts.get("lora_A"), parts.get("lora_B")
    if not owner.bare or a is None or b is None or len(a.shape) != 2 or a.shape[0] == rank:
        return parts
    experts, rest = divmod(a.shape[0], rank)
    if rest or not experts or b.shape[1:] != a.shape[:1]:
        raise FactorError(
            "rank", f"{owner.module}: A {shape_of(a)} and B {shape_of(b)} hold no experts of rank {rank}"
        )
    return {"lora_A": expert_a(a, experts), "lora_B": expert_b(b, experts)}
