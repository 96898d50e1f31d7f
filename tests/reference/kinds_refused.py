"""What no GGUF LoRA can hold, and what only looks like an adapter: llama, and Qwen2 for its biases.

A base that PEFT altered before training (PiSSA and its kin), weights that are replaced and not added to,
and methods that are no product of two factors. Three kinds whose preparation needs data or a quantiser
(LoftQ, CorDA, LoRA-GA) and one whose layers need it (the vision tower of a text model) are the plain
adapter, renamed.
"""

from pathlib import Path

import peft
import torch
from kinds_adapters import (
    WEIGHTS,
    Arrays,
    Case,
    Tensors,
    adapted,
    edited,
    loaded,
    lora,
    lora_config,
    save,
    stir,
    trained,
)
from kinds_lora import PLAIN, PREFIX
from kinds_models import Base, Model
from safetensors.torch import save_file

TARGETS = ["down_proj", "q_proj", "v_proj"]
TASK = {"task_type": "CAUSAL_LM"}
FIRST = f"{PREFIX}model.layers.0.self_attn.q_proj"
EYES = f"{PREFIX}model.vision_tower.encoder.layers.0.self_attn.q_proj"
EVERY = ["q_proj", "k_proj", "v_proj", "o_proj", "down_proj"]


def resized_base(base: Base) -> Base:
    """Return the base with two more words, whose vectors PEFT has to save."""

    def build() -> Model:
        model = base.build()
        model.resize_token_embeddings(model.get_input_embeddings().num_embeddings + 2)
        return model

    return Base(base.name, build, base.tokens)


def resized(base: Base, folder: Path) -> Arrays:
    """Save plain LoRA on a base with two more words; the truth leaves their columns out."""
    larger, words = resized_base(base), base.build().get_input_embeddings().num_embeddings
    save(trained(larger, lora_config()), folder, save_embedding_layers=True)
    return {folder.name: larger.ask(loaded(larger, folder))[:, :words]}


def with_eyes(tensors: Tensors) -> Tensors:
    """Return the tensors and a pair that a vision tower would own."""
    eyes = {f"{EYES}.lora_{part}.weight": tensors[f"{FIRST}.lora_{part}.weight"].clone() for part in "AB"}
    return {**tensors, **eyes}


def with_closed_eyes(tensors: Tensors) -> Tensors:
    """Return the tensors and a pair of a vision tower that saw no image in training: its B is zero."""
    return {
        key: torch.zeros_like(held) if key.startswith(EYES) and ".lora_B." in key else held
        for key, held in with_eyes(tensors).items()
    }


def called(name: str) -> Case:
    """Return the plain adapter under the name of an initialisation that alters the base."""
    return edited(PLAIN, config={"init_lora_weights": name}, truth=False)


def other(make: type[peft.PeftConfig], **settings: object) -> Case:
    """Return a case of another method than LoRA."""
    return adapted(lambda: make(**TASK, **settings))


def less_start(init: str) -> Case:
    """Return a case of an adapter that altered its base, and of the same adapter before its training."""

    def make(base: Base, folder: Path) -> Arrays:
        config = lora_config(init_lora_weights=init, target_modules=["q_proj", "v_proj"], r=4)
        model = peft.get_peft_model(base.build(), config)
        save(model, folder / "start")
        stir(model, base.noise)
        save(model, folder / "trained")
        return {folder.name: base.ask(model.eval())}

    return make


LESS_START: dict[str, Case] = {
    "pissa-less-start": less_start("pissa"),
    "olora-less-start": less_start("olora"),
}
ALTERED: dict[str, Case] = {
    "pissa": lora(init_lora_weights="pissa"),
    "olora": lora(init_lora_weights="olora"),
    "loftq": called("loftq"),
    "corda": called("corda"),
    "lora-ga": called("lora_ga"),
}
BEYOND_LORA: dict[str, Case] = {
    "dora": lora(use_dora=True),
    "lora-bias": lora(lora_bias=True),
    "save-norm": lora(modules_to_save=["input_layernorm", "norm"]),
    "save-head": lora(modules_to_save=["lm_head"]),
    "save-embedding": lora(modules_to_save=["embed_tokens"]),
    "save-linear": lora(target_modules=["q_proj"], modules_to_save=["down_proj"]),
    "trainable-tokens": lora(trainable_token_indices=[5, 9]),
    "resized": resized,
    "layer-replication": lora(layer_replication=[[0, 2], [1, 2]]),
    "vision": edited(PLAIN, with_eyes, truth=False),
    "vision-untrained": edited(PLAIN, with_closed_eyes),
}
OTHER_METHODS: dict[str, Case] = {
    "tokens-alone": other(peft.TrainableTokensConfig, target_modules=["embed_tokens"], token_indices=[3, 69]),
    "ln-tuning": other(peft.LNTuningConfig, target_modules=["input_layernorm", "post_attention_layernorm"]),
    "prompt-tuning": other(peft.PromptTuningConfig, num_virtual_tokens=3),
    "p-tuning": other(peft.PromptEncoderConfig, num_virtual_tokens=3, encoder_hidden_size=16),
    "prefix-tuning": other(peft.PrefixTuningConfig, num_virtual_tokens=3),
}


def spoilt(factor: str, value: float) -> Case:
    """Return the plain adapter with one number of one factor replaced."""

    def change(tensors: Tensors) -> Tensors:
        tensors[f"{FIRST}.{factor}.weight"][1, 2] = value
        return tensors

    return edited(PLAIN, change, truth=False)


def without_b(tensors: Tensors) -> Tensors:
    """Return the tensors but one B."""
    return {key: tensor for key, tensor in tensors.items() if key != f"{FIRST}.lora_B.weight"}


def narrow(tensors: Tensors) -> Tensors:
    """Return the tensors, of which one A reads too few inputs."""
    key = f"{FIRST}.lora_A.weight"
    return {**tensors, key: tensors[key][:, :-2]}


def twice(tensors: Tensors) -> Tensors:
    """Return the tensors, of which one comes also without PEFT's prefix."""
    key = f"{FIRST}.lora_A.weight"
    return {**tensors, key.removeprefix(PREFIX): tensors[key] + 1}


def zero_b(tensors: Tensors) -> Tensors:
    """Return the tensors as they are before training."""
    return {key: torch.zeros_like(held) if ".lora_B." in key else held for key, held in tensors.items()}


def truncated(base: Base, folder: Path) -> Arrays:
    """Keep three quarters of the weights' file."""
    PLAIN(base, folder)
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    return {}


def emptied(base: Base, folder: Path) -> Arrays:
    """Save a state without tensors, as PEFT does under a sharded optimiser: the notorious tiny file."""
    PLAIN(base, folder)
    save_file({}, folder / WEIGHTS, metadata={"format": "pt"})
    return {}


DAMAGED: dict[str, Case] = {
    "nan": spoilt("lora_A", float("nan")),
    "inf": spoilt("lora_B", float("inf")),
    "a-without-b": edited(PLAIN, without_b, truth=False),
    "wrong-shape": edited(PLAIN, narrow, truth=False),
    "other-rank": edited(PLAIN, config={"r": 8}, truth=False),
    "truncated": truncated,
    "empty-443": emptied,
    "alpha-zero": edited(PLAIN, config={"lora_alpha": 0}, truth=False),
    "zero-b": edited(PLAIN, zero_b, truth=False),
    "twice": edited(PLAIN, twice, truth=False),
}
REFUSED: dict[str, Case] = {**ALTERED, **LESS_START, **BEYOND_LORA, **OTHER_METHODS, **DAMAGED}
REFUSED_QWEN2: dict[str, Case] = {
    "bias-all": lora(bias="all"),
    "bias-lora-only": lora(bias="lora_only"),
    "lora-bias-on-biases": lora(lora_bias=True, target_modules=["q_proj", "k_proj", "v_proj"]),
}
REFUSED_TIED: dict[str, Case] = {
    "head-tied": lora(target_modules=["lm_head", "q_proj"]),
    "embedding-tied": lora(target_modules=["embed_tokens", "q_proj"]),
    "save-head-tied": lora(modules_to_save=["lm_head"]),
    "save-embedding-tied": lora(modules_to_save=["embed_tokens"]),
    "trainable-tokens-tied": lora(trainable_token_indices=[5, 9]),
}
