"""Methods beside LoRA whose update is a matrix of known rank, so that LoRA can hold it: llama, untied."""

from functools import partial
from pathlib import Path

import peft
import torch
from kinds_adapters import (
    WEIGHTS,
    Arrays,
    Case,
    adapted,
    edited,
    lora,
    lora_config,
    recorded,
    renamed,
    save,
    stir,
    trained,
)
from kinds_models import Base
from peft.tuners.lora import Linear
from peft.tuners.lora.variants import QALoraLinearVariant
from safetensors.torch import load_file

TARGETS = ["down_proj", "q_proj", "v_proj"]
TASK = {"task_type": "CAUSAL_LM"}
STEPS = 6
UNUSED = "layers.1.self_attn.v_proj"
BLOCKS = peft.BdLoraConfig(
    target_modules_bd_a=["down_proj"], target_modules_bd_b=["q_proj", "v_proj"], nblocks=2
)
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


def loha(**settings: object) -> Case:
    """Return a case of LoHa: the elementwise product of two low-rank matrices."""
    return adapted(lambda: peft.LoHaConfig(**TASK, r=2, alpha=20, target_modules=TARGETS, **settings))


def lokr(**settings: object) -> Case:
    """Return a case of LoKr: a Kronecker product, either side of which may be of low rank."""
    usual = {"r": 2, "alpha": 6, "target_modules": TARGETS}
    return adapted(lambda: peft.LoKrConfig(**TASK, **{**usual, **settings}))


def miss(**settings: object) -> Case:
    """Return a case of MiSS, whose input is summed in pieces; 24 and 40 inputs are no multiple of 7."""
    return adapted(lambda: peft.MissConfig(**TASK, **{"target_modules": TARGETS, "r": 4, **settings}))


def bone(base: Base, folder: Path) -> Arrays:
    """Save MiSS under the name and the keys that it had as Bone."""
    names = {"peft_type": "BONE"}
    spelled = renamed(miss(), lambda key: key.replace("miss_block", "bone_block"))
    return edited(spelled, config=names)(base, folder)


def vblora(**settings: object) -> Case:
    """Return a case of VB-LoRA, with a bank that is large enough to move the logits."""
    config = partial(peft.VBLoRAConfig, **TASK, target_modules=TARGETS, r=2, num_vectors=12, vector_length=8)
    return adapted(lambda: config(**settings), make_bank_visible)


def make_bank_visible(model: peft.PeftModel) -> None:
    """Enlarge the bank and the logits: mixtures of small vectors are nearly zero."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "vblora_" in name:
                weight.mul_(4 if "logits" in name else 3)


def delora() -> Case:
    """Return a case of DeLoRA, with a rank of its own for one kind of module."""
    ranks = {"v_proj": 2}
    config = partial(
        peft.DeloraConfig, **TASK, target_modules=TARGETS, r=3, delora_lambda=2, rank_pattern=ranks
    )
    return adapted(config)


def gralora(**settings: object) -> Case:
    """Return a case of GraLoRA: blocks, each of a part of the rank."""
    usual = {"target_modules": TARGETS, "r": 4, "alpha": 8, "gralora_k": 2}
    return adapted(lambda: peft.GraloraConfig(**TASK, **{**usual, **settings}))


def tinylora(**settings: object) -> Case:
    """Return a case of TinyLoRA: a small vector mixes random matrices between W's singular vectors."""
    return adapted(lambda: peft.TinyLoraConfig(**TASK, target_modules=TARGETS, r=2, u=3, **settings))


def fourierft(count: int) -> Case:
    """Return a case of FourierFT, of so many frequencies."""
    config = partial(peft.FourierFTConfig, **TASK, target_modules=TARGETS, scaling=60.0)
    return adapted(lambda: config(n_frequency=count))


def qalora(base: Base, folder: Path) -> Arrays:
    """Save QALoRA as on a base that GPTQ has quantised, whose layers PEFT lets pool their inputs.

    The quantiser is not needed for the truth: the layers of GPTQ alone get the variant from PEFT, so a plain
    layer is given it here.
    """
    model = peft.get_peft_model(base.build(), lora_config(use_qalora=True, qalora_group_size=4))
    pool(model)
    stir(model, base.noise)
    save(model, folder)
    fresh = peft.get_peft_model(base.build(), lora_config(use_qalora=True, qalora_group_size=4))
    pool(fresh)
    peft.set_peft_model_state_dict(fresh, load_file(folder / WEIGHTS))
    return {folder.name: base.ask(fresh.eval())}


def pool(model: peft.PeftModel) -> None:
    """Give every adapted layer the variant that PEFT gives to those of GPTQ."""
    config = model.peft_config["default"]
    for layer in model.modules():
        if isinstance(layer, Linear):
            layer.lora_variant["default"] = QALoraLinearVariant()
            QALoraLinearVariant.init(layer, "default", config)


METHODS: dict[str, Case] = {
    "miss": miss(),
    "miss-remainder": miss(r=7),
    "miss-mini": miss(init_weights="mini", mini_r=4),
    "bone": bone,
    "vblora": vblora(),
    "vblora-topk-only": vblora(save_only_topk_weights=True, topk=3),
    "delora": delora(),
    "gralora": gralora(),
    "gralora-hybrid": gralora(hybrid_r=2, r=2),
    "fourierft": fourierft(4),
    "tinylora": tinylora(),
    "tinylora-tied": tinylora(weight_tying=0.5),
    "bdlora": lora(use_bdlora=BLOCKS, r=4),
    "qalora": lora(use_qalora=True, qalora_group_size=4),
    "qalora-pooled": qalora,
    "adalora": adapted(adalora_config, make_singular_values_visible),
    "adalora-pruned": adalora_pruned,
    "vera": vera(),
    "loha": loha(),
    "loha-patterns": loha(**PATTERNS),
    "lokr": lokr(),
    "lokr-both": lokr(decompose_both=True, r=1),
}
