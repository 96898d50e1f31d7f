"""Sort the tensors of an adapter by what they are: factors, those of towers, alphas, and all others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ollama_pack.gguf.tensors import StoredTensor, Tensor
from ollama_pack.lora.peft.keys import TensorKey, parse_key
from ollama_pack.lora.peft.kohya import is_own_alpha
from ollama_pack.lora.peft.methods import Method
from ollama_pack.lora.peft.safetensors_header import FACTOR_DTYPES, dtype_error
from ollama_pack.lora.peft.target_parameters import AdaptedParameter, TargetParameters, parameter_of
from ollama_pack.lora.unsupported import RuleViolations

INDICES = "_indices"
"""The end of the name of a part that holds integers."""


@dataclass(slots=True)
class TensorGroups:
    """The tensors of an adapter by what they are.

    Attributes:
        factors: the factors by what they adapt; shared ones have no owner.
        towers: the factors of the modules of a vision or audio tower, by module.
        alphas: the scalars in which kohya's trainers store an alpha, by module.
        strangers: all other tensors, by name.
    """

    factors: dict[AdaptedParameter, dict[str, Tensor]] = field(default_factory=dict)
    towers: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    alphas: dict[str, Tensor] = field(default_factory=dict)
    strangers: dict[str, TensorKey] = field(default_factory=dict)


def group_tensors(
    tensors: Mapping[str, Tensor], method: Method, config: Mapping[str, Any], findings: RuleViolations
) -> TensorGroups:
    """Return the tensors by what they are.

    Raises:
        UnsupportedError: a factor is stored in a dtype that no LoRA is stored in.
    """
    groups, owners = TensorGroups(), dict[str, AdaptedParameter]()
    parts, targets = method.parts, TargetParameters(config)
    for name, tensor in tensors.items():
        spelled = parse_key(name, parts)
        if spelled.part not in parts or spelled.bias:
            if is_own_alpha(spelled, tensor):
                groups.alphas[spelled.module] = tensor
            else:
                groups.strangers[name] = spelled
        elif spelled.tower:
            groups.towers.setdefault(spelled.module, {})[spelled.part] = tensor
        else:
            if (
                isinstance(tensor, StoredTensor)
                and tensor.dtype not in FACTOR_DTYPES
                and not spelled.part.endswith(INDICES)
            ):
                raise dtype_error(tensor.path, name, tensor.dtype)
            shared = spelled.part in method.shared
            owner = AdaptedParameter("", "") if shared else parameter_of(spelled, targets)
            sides = groups.factors.setdefault(owners.setdefault(owner.module, owner), {})
            part = _numbered(name, spelled.part) if shared else spelled.part
            if part in sides:
                findings.add("twice", f"{name} and {sides[part].name}")
            sides[part] = tensor
    return groups


def _numbered(name: str, part: str) -> str:
    """Return the name of a shared tensor with its number if there are several, ``tinylora_v.3``."""
    last = name.rpartition(".")[2]
    return f"{part}.{last}" if last.isdigit() else part
