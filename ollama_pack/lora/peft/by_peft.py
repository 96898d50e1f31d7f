"""Methods whose change of a weight is not A and B, so that PEFT itself merges them, one weight at a time.

A row of `PEFT_METHODS` says how the names of a method's tensors begin and what it changes. Methods that
usually have factors (`ollama_pack.lora.peft.methods`) have a row too if some of their adapters have none.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.adapter import PeftModule
from ollama_pack.lora.factors import Factors
from ollama_pack.lora.peft.keys import PEFT_PREFIX, parse_key
from ollama_pack.lora.peft.methods import Method
from ollama_pack.lora.peft.target_parameters import AdaptedParameter
from ollama_pack.lora.unsupported import RuleViolations


class PeftMethod(NamedTuple):
    """A method that PEFT merges.

    Attributes:
        label: the usual name of the method.
        prefix: how the names of its tensors begin.
        weight: whether it changes the weight of a module.
        bias: whether it changes the bias of a module.
    """

    label: str
    prefix: str
    weight: bool = True
    bias: bool = False


PEFT_METHODS: Mapping[str, PeftMethod] = {
    "IA3": PeftMethod("IA3", "ia3_", bias=True),
    "OFT": PeftMethod("OFT", "oft_"),
    "BOFT": PeftMethod("BOFT", "boft_"),
    "HRA": PeftMethod("HRA", "hra_"),
    "ROAD": PeftMethod("RoAd", "road_", bias=True),
    "HIRA": PeftMethod("HiRA", "hira_"),
    "GLORA": PeftMethod("GLoRA", "glora_", bias=True),
    "WAVEFT": PeftMethod("WaveFT", "waveft_"),
    "C3A": PeftMethod("C3A", "c3a_"),
    "SHIRA": PeftMethod("SHiRA", "shira_"),
    "RANDLORA": PeftMethod("RandLoRA", "randlora_"),
    "OSF": PeftMethod("OSF", "osf_"),
    "PSOFT": PeftMethod("PSOFT", "psoft_"),
    "PVERA": PeftMethod("PVeRA", "pvera_"),
    "PEANUT": PeftMethod("PEANuT", "peanut_"),
    "SUPERTUNING": PeftMethod("SuperTuning", "supertuning_"),
    "DEFT": PeftMethod("DEFT", "deft_"),
    "BEFT": PeftMethod("BEFT", "beft_", weight=False, bias=True),
    "VERA": PeftMethod("VeRA", "vera_"),
    "TINYLORA": PeftMethod("TinyLoRA", "tinylora_"),
    "LOKR": PeftMethod("LoKr", "lokr_"),
    "FOURIERFT": PeftMethod("FourierFT", "fourierft_"),
    "MISS": PeftMethod("MiSS", "miss_"),
}
"""The values of ``peft_type`` that PEFT merges, each with its method."""

WHOLE_METHODS: Mapping[str, str] = {"LN_TUNING": "LN tuning", "TRAINABLE_TOKENS": "trainable tokens"}
"""The values of ``peft_type`` that train norms or rows of the embedding as they are, each with its name."""

NO_MODULE = frozenset({"", *PEFT_PREFIX})
"""What stands for a module in the names of tensors that all modules share."""


def merged_method(config: Mapping[str, Any]) -> Method | None:
    """Return the method of a configuration if it has no factors but can be merged, else None."""
    kind = str(config.get("peft_type")).upper()
    row = PEFT_METHODS.get(kind)
    label = row.label if row is not None else WHOLE_METHODS.get(kind, "")
    return Method(label, (), _no_factors, {}, rank_key="") if label else None


def _no_factors(*_parts: object) -> Factors:
    """Stand in for the function that makes factors, in a method that has none; it is never called."""
    raise AssertionError("a method without factors is not folded")


def peft_factors(
    config: Mapping[str, Any], tensors: Mapping[str, Tensor], findings: RuleViolations
) -> dict[AdaptedParameter, dict[str, Tensor]]:
    """Return the tensors of a method without factors, by module; those of a tower are violations."""
    row = PEFT_METHODS.get(str(config.get("peft_type")).upper())
    found: dict[AdaptedParameter, dict[str, Tensor]] = {}
    for name, tensor in tensors.items() if row else ():
        part = next((each for each in name.split(".") if row and each.startswith(row.prefix)), "")
        if part:
            key = parse_key(name, frozenset({part}))
            if key.tower:
                findings.add("vision", name)
            module = "" if key.module in NO_MODULE else key.module
            owner = AdaptedParameter(module, (key.trained or key.module) if module else "")
            found.setdefault(owner, {})[name] = tensor
    return found


def peft_modules(factors: Mapping[AdaptedParameter, Mapping[str, Tensor]]) -> tuple[PeftModule, ...]:
    """Return the modules that PEFT merges, with their tensors."""
    return tuple(
        PeftModule(owner.module, owner.key, tuple(parts.values()))
        for owner, parts in factors.items()
        if owner.module
    )
