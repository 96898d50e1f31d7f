"""Follow with PEFT or accelerate the hints that need torch; each must give the model that was trained.

    .venv-reference/bin/python tests/reference/follow_hints.py

It prints one line for each, and fails if an answer is not that of the trained model, or if PEFT has begun to
do by itself what a hint says that it does not.
"""

import copy
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
from peft import LoraConfig, PeftModel, VeraConfig, get_peft_model, save_as_lora
from safetensors.torch import load_file
from torch.distributed import checkpoint as distributed
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from ollama_pack.errors import InputError
from ollama_pack.lora.peft.directory import open_adapter, resolve_directory

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
PROMPT = torch.arange(1, 9)[None]
NEAR = 1e-4
"""The largest difference of two logits that are the same but for rounding."""


def base(kind: str = "llama", *, tied: bool = False) -> torch.nn.Module:
    """Return the same tiny base each time."""
    torch.manual_seed(1)
    made = {
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=tied)),
        "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES, tie_word_embeddings=tied)),
    }
    return made[kind]().eval()


def trained(model: torch.nn.Module, directory: Path, config: object) -> torch.Tensor:
    """Save an adapter whose numbers are random, and return what the model with it answers."""
    adapted = get_peft_model(model, config).eval()
    torch.manual_seed(2)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name or "vera_lambda" in name:
                parameter.copy_(torch.randn_like(parameter) * 0.3)
        answer = adapted(PROMPT).logits
    adapted.save_pretrained(directory)
    return answer


def apart(model: torch.nn.Module, answer: torch.Tensor) -> float:
    """Return the largest difference between what a model answers and what it should."""
    with torch.no_grad():
        return float((model(PROMPT).logits - answer).abs().max())


def tied(directory: Path) -> tuple[float, float]:
    """Merge a LoRA on the head of a tied base: as PEFT does it, and with a head of its own first."""
    answer = trained(base(tied=True), directory, LoraConfig(target_modules=["lm_head", "q_proj"], r=4))
    model = base(tied=True)
    alone = apart(PeftModel.from_pretrained(model, directory).merge_and_unload(), answer)
    model = base(tied=True)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    model.config.tie_word_embeddings = False
    merged = PeftModel.from_pretrained(model, directory).merge_and_unload()
    merged.save_pretrained(directory / "merged")
    return alone, apart(LlamaForCausalLM.from_pretrained(directory / "merged"), answer)


def lora_bias(directory: Path) -> tuple[float, float]:
    """Merge lora_bias: on a base without biases, and where every adapted module has one."""
    config = {"target_modules": ["q_proj", "v_proj"], "r": 4, "lora_bias": True}
    answer = trained(base(), directory / "llama", LoraConfig(**config))
    try:
        alone = apart(PeftModel.from_pretrained(base(), directory / "llama").merge_and_unload(), answer)
    except (RuntimeError, AttributeError, TypeError, ValueError):
        alone = float("inf")
    answer = trained(base("qwen2"), directory / "qwen2", LoraConfig(**config))
    merged = PeftModel.from_pretrained(base("qwen2"), directory / "qwen2").merge_and_unload()
    return alone, apart(merged, answer)


def replication(directory: Path) -> tuple[float, float]:
    """Merge layer_replication: as PEFT does it, and with weights of its own for every copy first."""
    config = LoraConfig(target_modules=["q_proj", "v_proj"], r=4, layer_replication=[[0, 2], [1, 2]])
    answer = trained(base(), directory, config)
    alone = apart(PeftModel.from_pretrained(base(), directory).merge_and_unload(), answer)
    model = PeftModel.from_pretrained(base(), directory)
    layers = model.base_model.model.model.layers
    for index, layer in enumerate(layers):
        layers[index] = copy.deepcopy(layer)
    merged = model.merge_and_unload()
    merged.save_pretrained(directory / "merged")
    return alone, apart(LlamaForCausalLM.from_pretrained(directory / "merged"), answer)


def no_projection(directory: Path) -> tuple[float, float]:
    """Save VeRA without its projections as a LoRA of the same rank."""
    config = VeraConfig(target_modules=["q_proj", "o_proj"], r=8, save_projection=False)
    answer = trained(base(), directory / "vera", config)
    model = PeftModel.from_pretrained(base(), directory / "vera").eval()
    save_as_lora(directory / "lora", model, rank=8)
    return float("inf"), apart(PeftModel.from_pretrained(base(), directory / "lora").eval(), answer)


def gathered(directory: Path) -> tuple[float, float]:
    """Gather the parts that FSDP saves, by the commands of two messages as they stand."""
    answer = trained(base(), directory, LoraConfig(target_modules=["q_proj", "v_proj"], r=4))
    weights = directory / "adapter_model.safetensors"
    distributed.save({"model": load_file(weights)}, checkpoint_id=str(directory / "pytorch_model_fsdp_0"))
    weights.unlink()
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for _ in range(2):
        try:
            open_adapter(resolve_directory(directory))
        except InputError as error:
            command = error.hint.partition("  ")[0]
            subprocess.run(["sh", "-c", command], check=True, env={**os.environ, "PATH": programs})
    return float("inf"), apart(PeftModel.from_pretrained(base(), directory).eval(), answer)


def main() -> None:
    """Follow every hint, print how far each answer is off, and fail if one is not the trained one."""
    failed = False
    for follow in (tied, lora_bias, replication, no_projection, gathered):
        with tempfile.TemporaryDirectory() as folder:
            alone, followed = follow(Path(folder))
        good = followed <= NEAR < alone
        failed |= not good
        sys.stdout.write(f"{follow.__name__}: off by {followed:.1e}, without the hint {alone:.1e}\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
