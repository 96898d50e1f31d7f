"""Find the parameter that a LoRA on bare parameters adapts (PEFT's ``target_parameters``).

PEFT wraps a module once for each adapted parameter, with the first parameter innermost (``ParamWrapper`` in
``peft/tuners/lora/layer.py``). If ``gate_up_proj`` and ``down_proj`` are both adapted,
``experts.base_layer.lora_A`` belongs to ``gate_up_proj`` and ``experts.lora_A`` to ``down_proj``. The factors
of all experts are stored in two matrices.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ollama_pack.errors import InputError
from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.algebra import expert_a, expert_b
from ollama_pack.lora.factors import FactorError, shape_of
from ollama_pack.lora.peft.keys import TensorKey

PARAMETER_WEIGHT = "weight"
"""The parameter of a linear module. LoRA on it is the same as LoRA on the module."""

DECLARED = ("gate_up_proj", "gate_proj", "up_proj", "down_proj")
"""The parameters of experts in the order in which transformers declares them and PEFT wraps them."""


MOST_BARE = 256
"""Most names of parameters without a module, and most dots in the name of a module; real ones have five."""


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


class TargetParameters:
    """The bare parameters that ``target_parameters`` of a configuration names, looked up by module.

    PEFT accepts the full name of a parameter or only its end.

    Args:
        config: the parsed adapter_config.json.

    Raises:
        InputError: it names more parameters without a module than any model has.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._names: dict[str, set[str]] = {}
        targets = config.get("target_parameters")
        for target in targets if isinstance(targets, list) else ():
            if isinstance(target, str):
                owner, _, name = target.rpartition(".")
                self._names.setdefault(owner, set()).add(name)
        if len(self._names.get("", ())) > MOST_BARE:
            raise InputError(
                f"There are more than {MOST_BARE} parameters without a module.",
                where="adapter_config.json: target_parameters",
            )

    def of(self, module: str) -> list[str]:
        """Return the names of the parameters of a module, in the order in which PEFT wraps them."""
        if not self._names:
            return []
        bare = self._names.get("", set())
        found = set(bare) if module.rpartition(".")[2] == "experts" else bare & {PARAMETER_WEIGHT}
        starts = [0, *(at + 1 for at, letter in enumerate(module) if letter == ".")]
        for owner in (module[start:] for start in starts[-MOST_BARE:]):
            found |= self._names.get(owner, set()) if owner else set()
        return sorted(found, key=lambda name: (DECLARED.index(name) if name in DECLARED else -1, name))


def parameter_of(key: TensorKey, targets: TargetParameters) -> AdaptedParameter:
    """Return what a factor adapts, from its module and the depth of its wrapper."""
    module, trained = key.module, key.trained or key.module
    names = targets.of(trained)
    index = len(names) - 1 - key.depth
    if not 0 <= index < len(names):
        return AdaptedParameter(module, trained)
    name = names[index]
    return AdaptedParameter(
        module if name == PARAMETER_WEIGHT else f"{module}.{name}", f"{trained}.{name}", bare=True
    )


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
