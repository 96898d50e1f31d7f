"""What an adapter has trained beside A and B, under the name of the module that it belongs to."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.adapter import LoraPair, TrainedTensor
from ollama_pack.lora.mergeable import MERGEABLE
from ollama_pack.lora.peft.finite_check import check_finite_tensors
from ollama_pack.lora.peft.keys import TensorKey
from ollama_pack.lora.unsupported import RuleViolations

_OWN_SEGMENTS = re.compile(
    r"\.(?:lora_magnitude_vector|lora_m|token_adapter|modules_to_save|ln_tuning_layers|trainable_tokens_delta)"
    r"(?:\.|$)"
)
"""What PEFT puts below the name of a module for what it trains there."""


def trained_beside(
    rules: Mapping[str, str], keys: Mapping[str, TensorKey], tensors: Mapping[str, Tensor]
) -> tuple[TrainedTensor, ...]:
    """Return the tensors that a merged model holds, in the order of the file.

    Args:
        rules: the code of the rule that each tensor violates as a part of a GGUF LoRA file, by its name.
        keys: the parsed names.
        tensors: the tensors.
    """
    return tuple(
        TrainedTensor(rule, _OWN_SEGMENTS.split(keys[name].module)[0], tensors[name])
        for name, rule in rules.items()
        if rule in MERGEABLE
    )


_OF_EVERY_PAIR = {
    "dora": ("use_dora", "lora_magnitude_vector"),
    "lora-bias": ("lora_bias", "lora_B.bias"),
}
"""Rules about a tensor that every adapted module has if one has it, each with setting and name."""


def check_beside(
    beside: Sequence[TrainedTensor],
    pairs: Sequence[LoraPair],
    config: Mapping[str, Any],
    findings: RuleViolations,
) -> None:
    """Add violations for trained tensors that are missing, that are there twice, or that are not finite.

    Raises:
        InputError: the weights cannot be read.
    """
    seen: dict[tuple[str, str], TrainedTensor] = {}
    for trained in beside:
        other = seen.setdefault((trained.rule, trained.module), trained)
        if other is not trained and trained.rule != "bias":
            findings.add("twice", f"{other.tensor.name} and {trained.tensor.name}")
    for rule, (setting, part) in _OF_EVERY_PAIR.items():
        modules = {module for code, module in seen if code == rule}
        if modules or config.get(setting) is True:
            for pair in pairs:
                if pair.module not in modules:
                    findings.add("half", f"{pair.module}: has no {part}")
    if beside:
        check_finite_tensors([trained.tensor for trained in beside], findings)
