"""Translate an adapter of mlx-lm to PEFT's configuration, tensor names and layout.

mlx-lm stores the factors of a linear weight transposed: ``lora_a`` is in × rank, ``lora_b`` is rank × out. It
stores those of a stack of experts as PEFT does: experts × rank × in and experts × out × rank. The output is
y + scale · (x · lora_a) · lora_b (``mlx_lm/tuner/lora.py``).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ollama_pack.errors import InputError
from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.algebra import reshape, transpose
from ollama_pack.lora.peft.config import require_number
from ollama_pack.lora.unsupported import RuleViolations

MLX_MERGE_HINT = "merge the adapter with mlx_lm.fuse, and convert the merged model to GGUF"
"""How mlx-lm merges an adapter into its base."""

_FACTOR = re.compile(r"(?P<module>.+)\.lora_(?P<side>[ab])(\.weight)?")
_EXPERT_MODULES = (
    ("block_sparse_moe.switch_mlp.gate_proj", "block_sparse_moe.experts.w1"),
    ("block_sparse_moe.switch_mlp.down_proj", "block_sparse_moe.experts.w2"),
    ("block_sparse_moe.switch_mlp.up_proj", "block_sparse_moe.experts.w3"),
    ("mlp.switch_mlp.", "mlp.experts."),
)

_EMBEDDING_MODULE = re.compile(r"(^|\.)(embed_tokens|wte)$")


def is_mlx(config: Mapping[str, Any]) -> bool:
    """Return whether mlx-lm wrote the configuration. Only mlx-lm writes these keys."""
    return "lora_parameters" in config or "fine_tune_type" in config or "lora_layers" in config


def to_peft(config: Mapping[str, Any], path: Path, findings: RuleViolations) -> dict[str, Any]:
    """Return the rank, scale and base of an mlx-lm configuration under PEFT's keys.

    Early versions of mlx-lm multiplied the scale by alpha / rank. Later ones ignore alpha, but still write
    it. Versions that write ``num_layers`` or ``fine_tune_type`` ignore alpha, and versions that write
    ``lora_layers`` without ``use_dora`` use it. Versions in between may do either, so a configuration of
    theirs whose alpha would matter violates the rule ``mlx-scale``.

    Args:
        config: the parsed configuration of mlx-lm.
        path: its file, for errors.
        findings: collects the violation.

    Raises:
        InputError: a number is missing, or is not a number in the allowed range.
    """
    parameters = config.get("lora_parameters")
    if parameters is None and config.get("fine_tune_type") == "full":
        parameters = {
            "rank": 1,
            "scale": 1.0,
        }  # Its tensors are whole weights, which have a rule of their own.
    if not isinstance(parameters, Mapping):
        raise InputError("lora_parameters is missing or is not an object.", where=f"{path}: lora_parameters")
    rank = require_number(parameters, "rank", path, whole=True)
    scale = require_number(parameters, "scale", path)
    if (
        "alpha" in parameters
        and "lora_layers" in config
        and not {"num_layers", "fine_tune_type"} & config.keys()
    ):
        alpha = require_number(parameters, "alpha", path)
        if "use_dora" not in config:
            scale *= alpha / rank
        elif alpha != rank:
            findings.add("mlx-scale", f"lora_parameters: scale {scale:g}, alpha {alpha:g}, rank {rank:g}")
    saved = {"modules_to_save": ["lm_head", "embed_tokens"]} if config.get("fine_tune_type") == "full" else {}
    return {
        **saved,
        "peft_type": "LORA",
        "r": int(rank),
        "lora_alpha": scale * rank,
        "base_model_name_or_path": config.get("base_model_name_or_path") or config.get("model"),
    }


def rename(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with PEFT's names and layout. Tensors that are not factors are unchanged."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        match = _FACTOR.fullmatch(name)
        if match is None:
            renamed[name] = tensor
            continue
        module, side = match["module"], match["side"]
        for mlx_name, hf_name in _EXPERT_MODULES:
            module = module.replace(mlx_name, hf_name)
        part = f"lora_{side.upper()}.weight"
        if _EMBEDDING_MODULE.search(module):
            part = f"lora_embedding_{side.upper()}"
        other = tensors.get(f"{match['module']}.lora_b{match[3] or ''}")
        renamed[f"{module}.{part}"] = _in_peft_layout(tensor, other)
    return renamed


def _in_peft_layout(tensor: Tensor, b: Tensor | None) -> Tensor:
    """Return a factor as PEFT stores it. `b` is the B of the same module, or None if it is missing."""
    if len(tensor.shape) == 3:
        return tensor
    if b is not None and len(b.shape) == 3 and len(tensor.shape) == 2:
        # Until October 2025 mlx-lm stored A of all experts as one matrix, (experts · rank) × in.
        experts = b.shape[0]
        if experts and tensor.shape[0] % experts == 0:
            return reshape(tensor, (experts, tensor.shape[0] // experts, tensor.shape[1]))
    return transpose(tensor) if len(tensor.shape) == 2 else tensor
