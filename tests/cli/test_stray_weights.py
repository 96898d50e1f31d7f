"""Weights that trainers leave under other names, or in parts: the message's commands lead to an adapter."""

import numpy as np
import pytest
from following import builds, command_in, refusal, shell
from recipes import read_numbers, safetensors

from ollama_pack.lora import hints
from ollama_pack.lora.peft.not_an_adapter import SAVE_WITH_PEFT

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@pytest.mark.parametrize("configured", [True, False])
def test_a_run_with_weights_in_a_checkpoint_only(tmp_path, make_adapter, tiny_gguf, configured):
    """Both commands of the message are pasted, and the checkpoint is built."""
    ada = make_adapter()
    checkpoint = ada / "checkpoint-75"
    checkpoint.mkdir()
    (ada / WEIGHTS).rename(checkpoint / "model.safetensors")
    if not configured:
        (ada / CONFIG).unlink()
        hint = refusal(ada, base=str(tiny_gguf)).hint
        shell("\n".join(command_in(hint, word) for word in ("cp", "echo")), tmp_path)
    else:
        shell(command_in(refusal(checkpoint, base=str(tiny_gguf)).hint, "cp"), tmp_path)
    builds(checkpoint, tiny_gguf)


def test_weights_of_a_checkpoint_without_any_configuration(tmp_path, make_adapter, tiny_gguf):
    """The configuration is written into the run, and the checkpoint has the weights already."""
    ada = make_adapter()
    (ada / "checkpoint-75").mkdir()
    (ada / WEIGHTS).rename(ada / "checkpoint-75" / WEIGHTS)
    (ada / CONFIG).unlink()
    error = refusal(ada, base=str(tiny_gguf))
    assert "checkpoint-75/ has adapter_model.safetensors" in error.what
    shell(command_in(error.hint, "echo"), tmp_path)
    builds(ada / "checkpoint-75", tiny_gguf)


def test_weights_of_mlx_without_a_configuration(tmp_path, make_adapter, tiny_gguf):
    """The configuration of mlx-lm is written as the message says."""
    ada = make_adapter()
    numbers = read_numbers(ada / WEIGHTS)
    mlx = {
        name.removeprefix("base_model.model.")
        .replace("lora_A.weight", "lora_a")
        .replace("lora_B.weight", "lora_b"): each.T.astype(np.float32)
        for name, each in numbers.items()
    }
    (ada / "adapters.safetensors").write_bytes(safetensors(mlx))
    (ada / WEIGHTS).unlink()
    (ada / CONFIG).unlink()
    error = refusal(ada, base=str(tiny_gguf))
    assert "there is adapters.safetensors" in error.what
    shell(command_in(error.hint, "echo"), tmp_path)
    builds(ada, tiny_gguf)


def test_weights_under_a_name_of_nobody(tmp_path, make_adapter, tiny_gguf):
    """A safetensors file gets PEFT's name and a configuration; another kind is saved again."""
    ada = make_adapter()
    (ada / WEIGHTS).rename(ada / "lora.safetensors")
    (ada / CONFIG).unlink()
    hint = refusal(ada, base=str(tiny_gguf)).hint
    shell("\n".join(command_in(hint, word) for word in ("cp", "echo")), tmp_path)
    builds(ada, tiny_gguf)
    for name in (WEIGHTS, CONFIG, "lora.safetensors"):
        (ada / name).unlink()
    (ada / "adapter_0.pt").write_bytes(b"x")
    error = refusal(ada, base=str(tiny_gguf))
    assert ("adapter_0.pt" in error.what, error.hint) == (True, SAVE_WITH_PEFT)


@pytest.mark.parametrize("head", ["score", "classifier", "qa_outputs"])
def test_a_classifier_that_does_not_say_so(make_adapter, tiny_gguf, head):
    """Its trained head tells it; merging and making a GGUF would not help."""
    name = f"base_model.model.{head}.weight"
    ada = make_adapter(extra={name: np.ones((2, 20), np.float32)}, config={"task_type": None})
    error = refusal(ada, base=str(tiny_gguf))
    assert (error.code, error.hint) == ("no-language-model", hints.OTHER_TASK)


PARTS = {
    "python": (
        "global_step75/zero_pp_rank_0_mp_rank_00_model_states.pt",
        'case "$1" in *checkpoint-75/zero_to_fp32.py) cp "$2/parts" "$3/pytorch_model.bin" ;; esac',
    ),
    "accelerate": (
        "pytorch_model_fsdp_0/__0_0.distcp",
        '[ "$1" = merge-weights ] && ls "$2"/*.distcp && cp "$3/parts" "$3/model.safetensors"',
    ),
}


@pytest.mark.parametrize("program", PARTS)
def test_parts_of_several_processes(tmp_path, make_adapter, tiny_gguf, program):
    """The command makes one file of them, and the message about that one has the next command."""
    place, script = PARTS[program]
    ada = make_adapter()
    checkpoint = ada / "checkpoint-75"
    (checkpoint / place).parent.mkdir(parents=True)
    (checkpoint / place).touch()
    (ada / WEIGHTS).rename(checkpoint / "parts")
    hint = refusal(checkpoint, base=str(tiny_gguf)).hint
    shell(command_in(hint, program), tmp_path, **{program: script})
    assert refusal(checkpoint, base=str(tiny_gguf)).hint.startswith("cp ")


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><title>Access denied</title>", b"Entry not found"])
def test_a_page_in_the_place_of_weights(make_adapter, tiny_gguf, content):
    """Nobody installs torch for an error page: it is told for what it is."""
    ada = make_adapter()
    (ada / WEIGHTS).unlink()
    (ada / "adapter_model.bin").write_bytes(content)
    error = refusal(ada, base=str(tiny_gguf))
    assert (error.code, error.exit_code, error.hint) == ("damaged", 3, hints.COPY_AGAIN)
    assert content[:9].decode() in error.what
