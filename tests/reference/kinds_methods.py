"""Methods beside LoRA whose update is a matrix of known rank, so that LoRA can hold it: llama, untied."""

from pathlib import Path

import peft
import torch
from kinds_adapters import Arrays, Case, adapted, recorded, save, trained
from kinds_models import Base

TARGETS = ["down_proj", "q_proj", "v_proj"]
TASK = {"task_type": "CAUSAL_LM"}
STEPS = 6
UNUSED = "layers.1.self_attn.v_proj"
PATTERNS = {
    "rank_pattern": {"v_proj": 1, "layers.1.mlp.down_proj": 3},
    "alpha_pattern": {"q_proj": 30, "layers.0.mlp.down_proj": 10},
}


def adalora_config() -> peft.AdaLoraConfig:
    """Return settings that let half of the ranks go within a few steps."""
    return peft.AdaLoraConfig(
        **TASK,
        init_r=4,
        target_r=2,
        lora_alpha=6,
        tinit=1,
        tfinal=1,
        deltaT=1,
        total_step=STEPS,
        target_modules=TARGETS,
    )


def make_singular_values_visible(model: peft.PeftModel) -> None:
    """Enlarge E, so that the product of three random factors moves the logits."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_E." in name:
                weight.mul_(8)


def adalora_pruned(base: Base, folder: Path) -> Arrays:
    """Let PEFT allocate the ranks; a module that has learnt next to nothing loses all of them."""
    model = trained(base, adalora_config())
    make_singular_values_visible(model)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if UNUSED in name and ".lora_" in name:
                weight.mul_(1e-3)
    for step in range(STEPS):
        model(base.tokens[None], labels=base.tokens[None]).loss.backward()
        model.base_model.update_and_allocate(step)
        model.zero_grad()
    save(model, folder)
    return recorded(base, folder)


def vera(**settings: object) -> Case:
    """Return a case of VeRA: two matrices shared by all modules, cut to each module's size."""
    return adapted(lambda: peft.VeraConfig(**TASK, r=4, target_modules=TARGETS, **settings))


def vera_without_projection(base: Base, folder: Path) -> Arrays:
    """Save VeRA without the matrices it shares: they are drawn anew by torch, and known to it alone."""
    vera(save_projection=False)(base, folder)
    return {}


def loha(**settings: object) -> Case:
    """Return a case of LoHa: the elementwise product of two low-rank matrices."""
    return adapted(lambda: peft.LoHaConfig(**TASK, r=2, alpha=20, target_modules=TARGETS, **settings))


def lokr(**settings: object) -> Case:
    """Return a case of LoKr: a Kronecker product, either side of which may be of low rank."""
    usual = {"r": 2, "alpha": 6, "target_modules": TARGETS}
    return adapted(lambda: peft.LoKrConfig(**TASK, **{**usual, **settings}))


METHODS: dict[str, Case] = {
    "adalora": adapted(adalora_config, make_singular_values_visible),
    "adalora-pruned": adalora_pruned,
    "vera": vera(),
    "vera-no-projection": vera_without_projection,
    "loha": loha(),
    "loha-patterns": loha(**PATTERNS),
    "lokr": lokr(),
    "lokr-both": lokr(decompose_both=True, r=1),
    "lokr-full": lokr(r=32, alpha=48, decompose_factor=4),
}
