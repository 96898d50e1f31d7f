"""A command in a hint is typed as it stands, whatever the directory is called that it names."""

import re
import shlex

import pytest
from recipes import write_adapter
from terminal import run
from training_run import write_run

ODD = ("ada lora;touch pwned", "ada$(touch pwned)", "ada's `touch pwned`&&x*")


def no_adapter(folder):
    write_adapter(folder / "inside")
    return "build", folder


def no_weights(folder):
    (write_adapter(folder) / "adapter_model.safetensors").unlink()
    write_adapter(folder / "checkpoint-1")
    return "build", folder


def no_checkpoints(folder):
    return "build", write_adapter(folder), "--checkpoint", "best"


def several_adapters(folder):
    for name in (folder.name, f"{folder.name}2"):
        write_adapter(folder / name)
    return "build", folder


def store_cannot_be_made(folder):
    (folder.parent / "file").touch()
    write_adapter(folder)
    return (
        "build",
        folder,
        "--base",
        folder.parent / "tiny.gguf",
        "--via",
        "store",
        "--store",
        folder.parent / "file/x",
    )


def old_checkpoint(folder):
    home = write_run(folder, steps=(10,)) / "checkpoint-10"
    (home / "adapter_model.safetensors").rename(home / "pytorch_model.bin")
    return "build", home


CASES = (no_adapter, no_weights, no_checkpoints, several_adapters, store_cannot_be_made, old_checkpoint)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_name_in_a_hint_is_one_word(case, name, tmp_path, tiny_gguf):
    """A shell that is given the hint takes the name for one word, so that nothing in it is run."""
    (tmp_path / "tiny.gguf").symlink_to(tiny_gguf)
    words = case(tmp_path / name)
    ran = run(words[0], *words[2:], "--json", "--", words[1])
    hint = ran.document["try"]
    assert ran.code in (2, 3, 4, 6)
    for command in re.split(r"\n +|  ", hint):
        if "ada" in command:
            assert [word for word in shlex.split(command) if name in word], command
            lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
            assert not {";", "&&", "(", ")"} & set(lexer), command
