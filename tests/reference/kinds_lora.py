"""LoRA in all the ways PEFT can scale, place, combine, store and spell it; llama, untied."""

from collections.abc import Callable
from pathlib import Path

import peft
import torch
from kinds_adapters import (
    GONE,
    WEIGHTS,
    Arrays,
    Case,
    Tensors,
    edited,
    loaded,
    lora,
    lora_config,
    recorded,
    renamed,
    save,
    stir,
)
from kinds_models import Base
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file

ATTENTION = ["k_proj", "o_proj", "q_proj", "v_proj"]
PREFIX = "base_model.model."
INVOCATION = [5, 9]
PLAIN = lora()


def cast(choose: Callable[[str], torch.dtype]) -> Callable[[peft.PeftModel], None]:
    """Return a change that stores every adapter weight in the type that its name calls for."""

    def change(model: peft.PeftModel) -> None:
        for name, weight in model.named_parameters():
            if ".lora_" in name:
                weight.data = weight.data.to(choose(name))

    return change


def mixed(name: str) -> torch.dtype:
    """Return bfloat16 for A, float32 for B, and float16 for one module."""
    if "down_proj" in name:
        return torch.float16
    return torch.bfloat16 if ".lora_A." in name else torch.float32


def two(base: Base, second: peft.LoraConfig, names: tuple[str, str]) -> peft.PeftModel:
    """Return a base with two random adapters, the plain one first."""
    model = peft.get_peft_model(base.build(), lora_config(), adapter_name=names[0])
    model.add_adapter(names[1], second)
    model.base_model.set_adapter(list(names))
    stir(model, base.noise)
    return model


def weighted(kind: str, weights: tuple[float, float], rank: int = 2) -> Case:
    """Return a case of two adapters that PEFT has made into one."""

    def case(base: Base, folder: Path) -> Arrays:
        second = lora_config(r=rank, lora_alpha=5, target_modules=["down_proj", "q_proj", "v_proj"])
        model = two(base, second, ("one", "two"))
        model.add_weighted_adapter(["one", "two"], list(weights), "blend", combination_type=kind)
        save(model, folder, selected_adapters=["blend"])
        return {folder.name: base.ask(loaded(base, folder / "blend"))}

    return case


def second_adapter(base: Base, folder: Path) -> Arrays:
    """Save a model with two adapters: the root holds `default`, a folder holds `style`."""
    model = two(base, lora_config(r=2, target_modules=ATTENTION), ("default", "style"))
    save(model, folder)
    return {
        folder.name: base.ask(loaded(base, folder / "style")),
        f"{folder.name}-default": base.ask(loaded(base, folder)),
    }


def summed(first: peft.LoraConfig, second: peft.LoraConfig) -> Case:
    """Return a case of two adapters in two folders; the truth is 0.7 of one and 0.3 of the other."""

    def case(base: Base, folder: Path) -> Arrays:
        for name, config in (("a", first), ("b", second)):
            model = peft.get_peft_model(base.build(), config)
            stir(model, base.noise)
            save(model, folder / name)
        both = peft.PeftModel.from_pretrained(base.build(), folder / "a", adapter_name="a")
        both.load_adapter(folder / "b", "b")
        both.base_model.set_adapter(["a", "b"])
        rescale(both, {"a": 0.7, "b": 0.3})
        return {folder.name: base.ask(both.eval())}

    return case


def rescale(model: peft.PeftModel, weights: dict[str, float]) -> None:
    """Multiply the scale of every adapter in every layer."""
    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            for name in layer.scaling:
                layer.scaling[name] *= weights[name]


def scaled(base: Base, folder: Path) -> Arrays:
    """Save the plain adapter; the truth is a quarter of it."""
    PLAIN(base, folder)
    model = loaded(base, folder)
    rescale(model, {"default": 0.25})
    return {folder.name: base.ask(model)}


def alora(base: Base, folder: Path) -> Arrays:
    """Save an adapter that begins to act at two tokens, and ask it about a text that begins with them."""
    lora(alora_invocation_tokens=INVOCATION)(base, folder)
    others = [token for token in base.tokens.tolist() if token not in INVOCATION]
    tokens = torch.tensor(INVOCATION + others)
    return {
        f"tokens:{folder.name}": tokens.numpy().astype("int32"),
        f"base:{folder.name}": base.ask(base.build(), tokens),
        folder.name: base.ask(loaded(base, folder), tokens),
    }


def fan_in_fan_out(base: Base, folder: Path) -> Arrays:
    """Keep the flag in the config, which PEFT takes back when it meets a nn.Linear."""
    edited(PLAIN, config={"fan_in_fan_out": True})(base, folder)
    return recorded(base, folder)


def language_model(key: str) -> str:
    """Return a key as a model with eyes has it."""
    return key.replace("model.model.layers", "model.model.language_model.layers")


def kohya(base: Base, folder: Path) -> Arrays:
    """Save the plain adapter with kohya's names, and the alpha of each module beside its factors."""

    def spelled(key: str) -> str:
        module, _, part = key.removeprefix(PREFIX).partition(".lora_")
        return f"lora_unet_{module.replace('.', '_')}.lora_{'down' if part.startswith('A') else 'up'}.weight"

    def change(tensors: Tensors) -> Tensors:
        named = {spelled(key): held for key, held in tensors.items()}
        alphas = {f"{key.rpartition('.lora_')[0]}.alpha": torch.tensor(4.0) for key in named}
        return {**named, **alphas}

    return edited(PLAIN, change, config={"lora_alpha": 99})(base, folder)


def whole_state(base: Base, folder: Path) -> Arrays:
    """Save the state of the whole model, as trainers of sharded models do, and what PPO adds to it."""
    found = PLAIN(base, folder)
    model = loaded(base, folder)
    head = {"v_head.summary.weight": torch.ones(1, 24), "v_head.summary.bias": torch.ones(1)}
    state = {
        key.replace("base_model.", "module.base_model.", 1): held.clone()
        for key, held in model.state_dict().items()
    }
    save_file({**state, **head}, folder / WEIGHTS, metadata={"format": "pt"})
    return found


SPELLINGS: dict[str, Case] = {
    "keys-no-prefix": renamed(PLAIN, lambda key: key.removeprefix(PREFIX)),
    "keys-default": renamed(PLAIN, lambda key: key.replace(".weight", ".default.weight")),
    "keys-base-layer": renamed(PLAIN, lambda key: key.replace("q_proj.lora", "q_proj.base_layer.lora")),
    "keys-language-model": renamed(PLAIN, language_model),
    "keys-wrapped-twice": renamed(PLAIN, lambda key: f"module._orig_mod.{key}"),
    "keys-lightning": renamed(PLAIN, lambda key: f"model.{key}"),
    "keys-thinker": renamed(PLAIN, lambda key: key.replace(PREFIX, f"{PREFIX}thinker.")),
    "keys-small-letters": renamed(
        PLAIN, lambda key: key.replace("lora_A", "lora_a").replace("lora_B", "lora_b")
    ),
    "keys-kohya": kohya,
    "f64": edited(PLAIN, lambda tensors: {key: held.double() for key, held in tensors.items()}),
    "whole-state": whole_state,
    "defaults": edited(
        lora(r=8, lora_alpha=8), config={"r": GONE, "lora_alpha": GONE, "trainer": "acme 1.2"}
    ),
    "keys-compiled": renamed(PLAIN, lambda key: key.replace(PREFIX, f"{PREFIX}_orig_mod.")),
}
PATTERNS = {
    "rank_pattern": {"v_proj": 2, "layers.1.mlp.down_proj": 5},
    "alpha_pattern": {"q_proj": 7, "layers.0.mlp.down_proj": 2},
}
RANKS = {"rank_pattern": PATTERNS["rank_pattern"]}
ALPHAS = {"alpha_pattern": PATTERNS["alpha_pattern"]}
SUM = summed(lora_config(), lora_config(r=4, lora_alpha=3, use_rslora=True, target_modules=ATTENTION))

LORA: dict[str, Case] = {
    "plain": PLAIN,
    "alpha-rank": lora(r=5, lora_alpha=0.7),
    "rslora": lora(use_rslora=True),
    "alpha-pattern": lora(**ALPHAS),
    "rank-pattern": lora(**RANKS),
    "rank-and-alpha-pattern": lora(**PATTERNS),
    "rslora-patterns": lora(**PATTERNS, use_rslora=True),
    "layers": lora(layers_to_transform=[1], layers_pattern="layers"),
    "exclude": lora(exclude_modules=["layers.0.self_attn.q_proj", "v_proj"]),
    "all-linear": lora(target_modules="all-linear"),
    "init-gaussian": lora(init_lora_weights="gaussian"),
    "init-orthogonal": lora(init_lora_weights="orthogonal", r=4),
    "init-false": lora(init_lora_weights=False),
    "weighted-cat": weighted("cat", (0.8, 0.5)),
    "weighted-svd": weighted("svd", (0.8, 0.5)),
    "weighted-linear": weighted("linear", (0.8, 0.5), rank=3),
    "weighted-negative-cat": weighted("cat", (1.0, -0.6)),
    "second-adapter": second_adapter,
    "bin": lora(how={"safe_serialization": False}),
    "f16": lora(cast(lambda _: torch.float16)),
    "bf16": lora(cast(lambda _: torch.bfloat16)),
    "mixed-dtypes": lora(cast(mixed)),
    **SPELLINGS,
    "fan-in-fan-out": fan_in_fan_out,
    "target-parameters-2d": lora(target_modules=[], target_parameters=["q_proj.weight", "down_proj.weight"]),
    "head-and-embedding": lora(target_modules=["embed_tokens", "lm_head", "q_proj"]),
    "embedding-only": lora(target_modules=["embed_tokens"]),
    "alora": alora,
    "bias-all-without-biases": lora(bias="all"),
    "qlora-config": lora(target_modules=["down_proj", "gate_proj", "up_proj", *ATTENTION], lora_dropout=0.05),
    "sum": SUM,
    "scaled": scaled,
}
