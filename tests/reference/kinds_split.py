"""Phi 3 as Unsloth trains it: q, k and v apart, and gate and up, which the base has in one weight each."""

from functools import partial
from pathlib import Path

import archs_models
import torch
from kinds_adapters import Arrays, Case, edit_tensors, lora_config, save, trained
from kinds_models import Base, Model, build_tiny, tiny_tokens, vocabulary

NAME = "phimini"
WHOLES = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
TARGETS = ["down_proj", "o_proj", *(part for parts in WHOLES.values() for part in parts)]


class Parts(torch.nn.ModuleDict):
    """A linear weight taken apart by its rows; what they give is joined again."""

    def __init__(self, whole: torch.nn.Linear, sizes: dict[str, int]) -> None:
        super().__init__()
        for (name, size), rows in zip(sizes.items(), whole.weight.split([*sizes.values()]), strict=True):
            self[name] = torch.nn.Linear(whole.in_features, size, bias=False)
            self[name].weight = torch.nn.Parameter(rows.detach().clone())

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Return what the whole weight would give."""
        return torch.cat([part(given) for part in self.values()], -1)


def phi_base() -> Base:
    """Return the tiny Phi 3 that the records of the architectures have."""
    model, vocab = next(each for each in archs_models.TINY if each.name == NAME), vocabulary()
    return Base(NAME, partial(build_tiny, model, vocab), tiny_tokens(vocab))


def apart(base: Base) -> Base:
    """Return the same model with its joined weights taken apart."""

    def build() -> Model:
        model = base.build()
        sizes = model.config
        width = (
            sizes.head_dim
            if getattr(sizes, "head_dim", None)
            else sizes.hidden_size // sizes.num_attention_heads
        )
        heads = [sizes.num_attention_heads, sizes.num_key_value_heads, sizes.num_key_value_heads]
        for layer in model.model.layers:
            rows = dict(zip(WHOLES["qkv_proj"], [count * width for count in heads], strict=True))
            layer.self_attn.qkv_proj = Parts(layer.self_attn.qkv_proj, rows)
            halves = dict.fromkeys(WHOLES["gate_up_proj"], sizes.intermediate_size)
            layer.mlp.gate_up_proj = Parts(layer.mlp.gate_up_proj, halves)
        return model

    return Base(base.name, build, base.tokens)


def split(**settings: object) -> Case:
    """Return a case of LoRA on the parts, with the keys that a model of Llama's shape gives them."""

    def case(base: Base, folder: Path) -> Arrays:
        model = trained(apart(base), lora_config(**{"target_modules": TARGETS, **settings}))
        save(model, folder)
        edit_tensors(
            folder,
            lambda tensors: {
                key.replace(".qkv_proj.", ".").replace(".gate_up_proj.", "."): held
                for key, held in tensors.items()
            },
        )
        return {folder.name: base.ask(model.eval())}

    return case


SPLIT: dict[str, dict[str, Case]] = {
    NAME: {
        "split": split(),
        "split-partly": split(target_modules=["k_proj", "up_proj"], rank_pattern={"k_proj": 5}),
    }
}
