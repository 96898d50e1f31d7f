"""Checks the configuration of an adapter whose method has factors, before any tensor is looked at."""

from collections.abc import Mapping
from typing import Any

from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.peft.config import check_numbers, check_settings, with_defaults
from ollama_pack.lora.peft.directory import AdapterSource, converted_adapters_in
from ollama_pack.lora.peft.methods import Method
from ollama_pack.lora.peft.run_directory import CONFIG_FILE
from ollama_pack.lora.unsupported import RuleViolations

EVERY_TENSOR = frozenset({"altered-base", "quantised-base", "kasa", "replication", "variant", "mixture"})
"""Rules about settings that concern every tensor."""

MEANING = frozenset({"variant", "mixture"})
"""Rules under which A and B mean something else, so that their shapes cannot be checked."""


def checked_config(
    found: AdapterSource,
    method: Method,
    tensors: Mapping[str, Tensor],
    findings: RuleViolations,
    *,
    less_start: bool,
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return the configuration with PEFT's defaults, and notes; unsupported settings are violations.

    Raises:
        InputError: a number is missing, or out of its range.
        UnsupportedError: a setting gives A and B another meaning.
    """
    config, notes = with_defaults(found.config, method)
    check_settings(config, findings)
    if less_start:
        findings.forget({"altered-base"})
    for rule in EVERY_TENSOR.intersection(findings.codes):
        findings.add(rule, *tensors)
    if MEANING.intersection(findings.codes):
        findings.raise_if_any()
    check_numbers(config, found.directory / CONFIG_FILE)
    if "altered-base" in findings.codes:
        for name in converted_adapters_in(found.directory, config):
            findings.offer(f"--adapter {name}  is a plain LoRA made from this one")
    return config, notes
