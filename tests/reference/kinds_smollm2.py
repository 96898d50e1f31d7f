"""The same kinds of adapters on a model that people use: SmolLM2-135M-Instruct, two of its layers."""

import copy
from collections.abc import Callable
from functools import cache

import peft
import smollm2
import torch
import transformers
from kinds_adapters import Case, adapted, lora, lora_config
from kinds_lora import summed
from kinds_methods import TASK, adalora_config, make_singular_values_visible
from kinds_models import Base, Model
from llama_source import ROOT

SOURCE = ROOT / ".cache" / smollm2.FILE
TOKENS, COLUMNS = 6, 256
NOISE = 0.12
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WHERE = {"target_modules": ["q_proj", "v_proj"], "layers_to_transform": [2, 19]}


def smollm2_config() -> transformers.LlamaConfig:
    """Return the config that the GGUF file's metadata amount to."""
    sizes = smollm2.settings(SOURCE)
    rope = {"rope_type": "default", "rope_theta": sizes.pop("rope_theta")}
    return transformers.LlamaConfig(
        **sizes, rope_parameters=rope, tie_word_embeddings=True, architectures=["LlamaForCausalLM"]
    )


@cache
def pristine() -> Model:
    """Return the model with the numbers of the Q4_1 file."""
    model = transformers.LlamaForCausalLM(smollm2_config()).float().eval()
    weights = {name: torch.from_numpy(held.copy()) for name, held in smollm2.transformers_weights(SOURCE)}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert missing == ["lm_head.weight"], missing
    assert unexpected == [], unexpected
    model.name_or_path = model.config.name_or_path = smollm2.REPOSITORY
    return model


def smollm2_base() -> Base:
    """Return the model, and a few words it is asked about; a fixed sample of its vocabulary is kept."""
    words = int(smollm2.settings(SOURCE)["vocab_size"])
    generator = torch.Generator().manual_seed(135)
    tokens = torch.randint(3, words, (TOKENS,), generator=generator)
    columns = torch.randperm(words, generator=generator)[:COLUMNS].sort().values
    return Base("smollm2", lambda: copy.deepcopy(pristine()), tokens, columns, NOISE)


def method(make: Callable[..., peft.PeftConfig], **settings: object) -> Case:
    """Return a case of another method than LoRA, on q and v."""
    return adapted(lambda: make(**TASK, **WHERE, **settings))


def adalora() -> peft.AdaLoraConfig:
    """Return the settings of the tiny models' AdaLoRA, in two layers."""
    config = adalora_config()
    config.target_modules, config.layers_to_transform = set(WHERE["target_modules"]), [2, 19]
    return config


PATTERNS = {
    "rank_pattern": {"v_proj": 4, "layers.19.self_attn.q_proj": 3},
    "alpha_pattern": {"q_proj": 7, "layers.2.self_attn.v_proj": 2},
}
SMOLLM2: dict[str, Case] = {
    "smollm2-plain": lora(r=2, **WHERE),
    "smollm2-linear": lora(r=2, target_modules=LINEAR, layers_to_transform=[2]),
    "smollm2-rslora": lora(r=3, **WHERE, use_rslora=True),
    "smollm2-patterns": lora(r=2, **WHERE, **PATTERNS),
    "smollm2-adalora": adapted(adalora, make_singular_values_visible),
    "smollm2-vera": method(peft.VeraConfig, r=4, d_initial=2.0),
    "smollm2-loha": method(peft.LoHaConfig, r=2, alpha=8),
    "smollm2-lokr": method(peft.LoKrConfig, r=2, alpha=2),
    "smollm2-sum": summed(
        lora_config(r=2, **WHERE),
        lora_config(
            r=3, lora_alpha=3, use_rslora=True, target_modules=["k_proj", "o_proj"], layers_to_transform=[2]
        ),
    ),
}
