"""Adapters of models that are not plain Llamas: routed experts, Conv1D, and DeepSeek's attention.

transformers 5 keeps a layer's experts in one stacked parameter, and PEFT reaches it by
`target_parameters`. Older adapters have two factors for each expert; PEFT's own reading of those knows
only complete sets, so their truth is the base with the products added to its weights.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import peft
import torch
from kinds_adapters import WEIGHTS, Arrays, Case, Tensors, lora, lora_config, renamed, tidy
from kinds_lora import ATTENTION, PREFIX
from kinds_models import Base, Model
from peft.utils.other import get_pattern_key
from safetensors.torch import save_file

BOTH = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]


def parameters(names: list[str], **settings: object) -> Case:
    """Return a case of LoRA on stacked parameters, and on no module unless one is named."""
    return lora(**{"r": 2, "lora_alpha": 3, "target_modules": [], "target_parameters": names, **settings})


@dataclass(frozen=True)
class Spelling:
    """How an older transformers named the experts of a layer."""

    path: str
    gate: str
    up: str
    down: str


QWEN = Spelling("mlp.experts", "gate_proj", "up_proj", "down_proj")
MIXTRAL = Spelling("block_sparse_moe.experts", "w1", "w3", "w2")


@dataclass(frozen=True)
class Experts:
    """An adapter with factors for each expert: which experts and matrices, and how they are scaled."""

    spelling: Spelling
    matrices: tuple[str, ...] = ("gate", "up", "down")
    experts: tuple[int, ...] = (0, 1, 2, 3)
    patterns: dict[str, dict[str, int]] = field(default_factory=dict)

    def config(self, base: Base) -> peft.LoraConfig:
        """Return what PEFT would have written beside the factors."""
        config = lora_config(
            r=2,
            lora_alpha=5,
            target_modules=[getattr(self.spelling, matrix) for matrix in self.matrices],
            base_model_name_or_path=base.build().name_or_path,
            **self.patterns,
        )
        config.inference_mode = True
        return config

    def rank_and_alpha(self, config: peft.LoraConfig, key: str) -> tuple[int, float]:
        """Return a module's rank and alpha by PEFT's own rule."""
        rank = config.rank_pattern.get(get_pattern_key(config.rank_pattern, key), config.r)
        return rank, config.alpha_pattern.get(get_pattern_key(config.alpha_pattern, key), config.lora_alpha)

    def slots(self, model: Model) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every adapted matrix's older name, and the part of the stacked parameter that it became."""
        for number, layer in enumerate(model.model.layers):
            stacked = layer.mlp.experts
            width = stacked.down_proj.shape[-1]
            for expert in self.experts:
                parts = {
                    "gate": stacked.gate_up_proj[expert, :width],
                    "up": stacked.gate_up_proj[expert, width:],
                    "down": stacked.down_proj[expert],
                }
                for matrix in self.matrices:
                    name = getattr(self.spelling, matrix)
                    yield f"model.layers.{number}.{self.spelling.path}.{expert}.{name}", parts[matrix]

    def __call__(self, base: Base, folder: Path) -> Arrays:
        """Write the adapter, and return what the base computes with the products added."""
        config, model = self.config(base), base.build()
        tensors: Tensors = {}
        with torch.no_grad():
            for key, weight in self.slots(model):
                rank, alpha = self.rank_and_alpha(config, key)
                a = base.noise * torch.randn(rank, weight.shape[1])
                b = base.noise * torch.randn(weight.shape[0], rank)
                weight.add_(b @ a, alpha=alpha / (math.sqrt(rank) if config.use_rslora else rank))
                tensors[f"{PREFIX}{key}.lora_A.weight"], tensors[f"{PREFIX}{key}.lora_B.weight"] = a, b
        config.save_pretrained(folder)
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        tidy(folder)
        return {folder.name: base.ask(model)}


MIXED_RANKS = {
    "rank_pattern": {"experts.1.gate_proj": 1, "layers.1.mlp.experts.2.down_proj": 3, "up_proj": 4},
    "alpha_pattern": {"experts.0.down_proj": 2, "up_proj": 7, "layers.0.mlp.experts.3.gate_proj": 1},
}
DENSE = [
    f"{place}.{name}_proj.weight" for place in ("mlp", "shared_experts") for name in ("down", "gate", "up")
]
"""As parameters: PEFT takes a module `gate_proj` of this model for the routed experts, wherever it is."""
QWEN3MOE: dict[str, Case] = {
    "experts-down": parameters(BOTH[1:]),
    "experts-gate-up": parameters(BOTH[:1]),
    "experts-both": parameters(BOTH),
    "experts-and-attention": parameters(BOTH, target_modules=ATTENTION),
    "experts-rslora": parameters(BOTH, use_rslora=True),
    "experts-old-names": lora(target_modules=["gate_proj", "up_proj", "down_proj"], r=2),
    "router": parameters(["mlp.gate.weight"]),
    "per-expert": Experts(QWEN),
    "per-expert-partial": Experts(QWEN, ("gate", "down"), (0, 2)),
    "per-expert-mixed-ranks": Experts(QWEN, patterns=MIXED_RANKS),
}
OTHER_MODELS: dict[str, dict[str, Case]] = {
    "mixtral": {
        "experts-mixtral": parameters(BOTH),
        "per-expert-mixtral": Experts(MIXTRAL),
    },
    "gptoss": {
        "experts-gptoss": parameters(BOTH),
        "attention-gptoss": lora(target_modules=ATTENTION),
    },
    "gpt2": {
        "conv1d": lora(target_modules=["c_attn", "c_fc", "c_proj"], fan_in_fan_out=True),
        "conv1d-automodel": renamed(
            lora(target_modules=["c_attn", "c_fc", "c_proj"], fan_in_fan_out=True),
            lambda key: key.replace("model.transformer.", "model."),
        ),
        "conv1d-attn-c-proj": lora(target_modules=["attn.c_proj"], fan_in_fan_out=True),
    },
    "deepseek2": {
        "ignored": lora(
            target_modules=["kv_a_proj_with_mqa", "kv_b_proj", "o_proj", "q_a_proj", "q_b_proj"],
        ),
        "deepseek-right": parameters(DENSE, target_modules=["o_proj"]),
    },
}
