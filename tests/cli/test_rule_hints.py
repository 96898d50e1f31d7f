"""Every way out that a message names is followed by the letter: what is typed there leads to a model.

What a message says is run by a shell as it stands, with a number where it says RANK or ALPHA. Hints that
need PEFT are followed by tests/reference/follow_hints.py, and those of PEFT's merge are measured by
tests/reference/record_kinds.py.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from archive import unpacked
from following import builds, command_in, hint_of, refusal, shell
from kinds import KINDS
from recipes import Recipe, factors, read_numbers, safetensors, write_adapter, write_model
from terminal import run

from ollama_pack.errors import PackError
from ollama_pack.lora import hints
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.planner import plan_lora
from ollama_pack.lora.unsupported import RULES

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

FOLLOWED = {
    hints.BASE_FILES_HINT: "test_a_base_that_is_a_file",
    hints.COPY_AGAIN: "test_a_checkpoint_of_a_damaged_run",
    hints.LESS_START: "test_pissa_less_its_start",
    hints.REMOVE_SETTING: "test_a_setting_that_is_a_note",
    **dict.fromkeys(
        (hints.BY_MERGE, hints.NO_LORA_BIAS, hints.REPLICATED, hints.BY_PEFT),
        "test_what_only_merging_holds",
    ),
    **dict.fromkeys((hints.BY_PEFT_OR_NEAREST, hints.BY_PEFT_OR_LORA), "test_what_only_merging_holds"),
}
"""Hints of rules that this file follows, with the test."""

MERGES = "--merge  writes one model file of the base and the adapter"
"""How every hint begins that names --merge."""

WITH_PEFT = {
    *(hints.MERGE_HINT, hints.UNTIE, hints.INTO_THE_CHANGED),
}
"""Hints that are followed where PEFT is."""

TRAINING = {
    hints.TOWER_HINT,
    hints.LINEAR_ONLY_HINT,
    hints.GATHER,
    hints.OTHER_TASK,
    hints.TRAIN_LORA,
}
"""Hints that begin with another training."""

SENTENCES = {
    "no-place": r"ollama-pack archs NAME lists .*; check that --base is the right model",
    "multipliers": "--online, or --base with the directory of its config.json",
    "sum-apart": "build each adapter by itself",
    "mlx-scale": r"set scale in lora_parameters of adapter_config.json to the .* value, and remove alpha",
    "mixture": "build one of its adapters",
    "not-finite": "build an earlier checkpoint, from before the loss became NaN",
    "noop": "--allow-noop, if that is intended; otherwise build a later checkpoint",
}
"""Hints that name an option or another input; the tests of that option follow them."""


def test_every_hint_of_a_rule_is_followed():
    """A rule with a new hint needs a test that follows it, here or where PEFT is."""
    plain = {code: rule.hint for code, rule in RULES.items() if code not in SENTENCES}
    known = FOLLOWED.keys() | WITH_PEFT | TRAINING
    assert {code: hint for code, hint in plain.items() if hint not in known} == {}
    assert known == set(plain.values())
    assert all(name in globals() for name in FOLLOWED.values())
    assert all(re.fullmatch(text, RULES[code].hint) for code, text in SENTENCES.items())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.merges], ids=lambda kind: kind.case)
def test_what_only_merging_holds(recorded_peft, tmp_path, kind):
    """Each rule that names --merge is true: the same command with it makes a model, and proves it."""
    room, case = ("resized", "padded") if kind.resized else ("kinds", kind.case)  # with its tokenizer
    home, out = unpacked(room, kind.model), tmp_path / "out"
    words = ("build", home / case, "ada", "--base", home / "base.gguf", "--via", "folder", "--out", out)
    refused = run(*words)
    assert refused.code == 4
    hint = RULES[kind.rule].hint
    assert MERGES in refused.stderr
    assert hint.startswith(MERGES)
    merged = run(*words, hint.split()[0], "--json")
    assert merged.code == 0, merged.stderr
    assert merged.document["proofs"][0]["passed"]
    assert (out / "merged_model.gguf").exists()


def test_where_merging_is_no_way_out_either(tmp_path):
    """A rule that names --merge with an "if" is true there, too: with it another way is named, and not it."""
    named = {code: rule.hint for code, rule in RULES.items() if "--merge" in rule.hint}
    kinds = [kind for kind in KINDS if kind.rule in named and not kind.merges]
    assert [kind.case for kind in kinds] == ["lora-bias"]
    for kind in kinds:
        assert ", if " in named[kind.rule]
        home = unpacked("kinds", kind.model)
        words = ("build", home / kind.case, "ada", "--base", home / "base.gguf", "--via", "folder")
        ran = run(*words, "--out", tmp_path / kind.case, "--merge")
        assert ran.code == 4
        assert MERGES not in ran.stderr


def test_each_rule_that_names_merging_is_walked():
    """No rule says --merge without an adapter that follows it."""
    named = {code for code, rule in RULES.items() if "--merge" in rule.hint}
    assert named == {kind.rule for kind in KINDS if kind.merges}


def test_an_adapter_on_the_hub(tmp_path, make_adapter, tiny_gguf):
    """The id or the address of an adapter becomes a directory, and that one is built."""
    source = make_adapter("source")
    (source / "Modelfile.txt").write_text(f"FROM {tiny_gguf}\n")
    for path in ("ada-inc/babbage-lora", "https://hub.example/ada-inc/babbage-lora"):
        hint = refusal(Path(path)).hint
        assert (
            hint
            == "hf download ada-inc/babbage-lora --local-dir babbage-lora && ollama-pack build babbage-lora"
        )
    script = (
        f'[ "$1 $2 $3 $4" = "download ada-inc/babbage-lora --local-dir babbage-lora" ] && cp -r {source} "$4"'
    )
    assert shell(command_in(hint, "hf"), tmp_path, hf=script) == "babbage\n"


def test_weights_without_a_configuration(tmp_path, make_adapter, tiny_gguf):
    """Torchtune left no adapter_config.json once; the one that the message writes is enough."""
    ada = make_adapter()
    (ada / CONFIG).unlink()
    error = refusal(ada, base=str(tiny_gguf))
    assert (error.code, error.exit_code) == ("no-adapter", 3)
    shell(command_in(error.hint, "echo"), tmp_path)
    builds(ada, tiny_gguf)


def test_numpy_archives_of_mlx(tmp_path, make_adapter, tiny_gguf):
    """What mlx-lm wrote in 2023 becomes safetensors by the command in the message."""
    ada = make_adapter()
    numbers = read_numbers(ada / WEIGHTS)
    mlx = {
        name.removeprefix("base_model.model.")
        .replace("lora_A.weight", "lora_a")
        .replace("lora_B.weight", "lora_b"): each.T
        for name, each in numbers.items()
    }
    np.savez(ada / "adapters.npz", **{name: each.astype(np.float32) for name, each in mlx.items()})
    (ada / WEIGHTS).unlink()
    (ada / CONFIG).write_text(json.dumps({"lora_layers": 2, "lora_parameters": {"rank": 3, "scale": 2.0}}))
    shell(command_in(refusal(ada, base=str(tiny_gguf)).hint, "python -c"), tmp_path)
    builds(ada, tiny_gguf)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model_fsdp.bin"])
def test_checkpoints_of_2023(tmp_path, make_adapter, tiny_gguf, name):
    """What transformers saved gets PEFT's name; then torch reads it, or is asked for."""
    ada = make_adapter()
    checkpoint = ada / "checkpoint-75"
    checkpoint.mkdir()
    (checkpoint / name).write_bytes(b"\x80\x02}q\x00.")
    shell(command_in(refusal(checkpoint, base=str(tiny_gguf)).hint, "cp"), tmp_path)
    assert "adapter_model.bin" in refusal(checkpoint, base=str(tiny_gguf)).where


def test_a_whole_model(tmp_path):
    """The directory of a merged model is told apart from one of an adapter."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model-00001-of-00002.safetensors").touch()
    error = refusal(tmp_path)
    assert "a whole model and not an adapter" in error.what
    assert "convert_hf_to_gguf.py" in error.hint


@pytest.mark.parametrize("case", ["pissa-less-start", "olora-less-start"])
def test_pissa_less_its_start(tmp_path, case):
    """The adapter before training, subtracted as the message says, gives one that fits the original base."""
    folder, base = unpacked("kinds", "llama") / case, unpacked("kinds", "llama") / "base.gguf"
    hint = hint_of("build", folder / "trained", "--base", base, "--via", "folder", code="altered-base")
    words = re.search("ollama-pack (.*?)  builds", hint)[1].split()
    there = {"DIR": folder / "trained", "START": folder / "start"}
    command = [there.get(word, word) for word in words]
    ran = run(*command, "--name", "ada", "--base", base, "--via", "folder", "--out", tmp_path / "out")
    assert ran.code == 0, ran.stderr
    command[2] = folder.parent / "plain"
    other = run(*command, "--name", "ada", "--base", base, "--via", "folder", "--out", tmp_path / "other")
    assert (other.code, "not the adapter before training" in other.stderr) == (4, True), other.stderr
    assert "as the second directory" in other.stderr


def test_what_pissa_was_converted_to(make_adapter, tiny_gguf):
    """Beside a PiSSA adapter lies the plain LoRA that LLaMA-Factory made of it: the message names it."""
    ada = make_adapter(config={"init_lora_weights": "pissa_niter_16"})
    for name, rank in (("pissa_init", 3), ("pissa_converted", 6)):
        write_adapter(ada / name, rank=rank)
    hint = refusal(ada, base=str(tiny_gguf)).hint
    option, name = command_in(hint, "--adapter").split()
    assert (option, name) == ("--adapter", "pissa_converted")
    builds(ada, tiny_gguf, adapter=name)


def test_a_setting_that_is_a_note(make_adapter, tiny_gguf):
    """Without a setting that may have meant something, the adapter is built."""
    ada = make_adapter(config={"use_mora": True})
    assert refusal(ada, base=str(tiny_gguf)).hint == hints.REMOVE_SETTING
    config = json.loads((ada / CONFIG).read_text())
    del config["use_mora"]
    (ada / CONFIG).write_text(json.dumps(config))
    builds(ada, tiny_gguf)


def test_a_configuration_without_a_method(make_adapter, tiny_gguf):
    """With the line that the message gives, the adapter is built."""
    ada = make_adapter(config={"peft_type": ...})
    error = refusal(ada, base=str(tiny_gguf))
    assert (error.code, error.exit_code) == ("no-peft-type", 3)
    line = re.match(r'"peft_type": "LORA"', error.hint)[0]
    (ada / CONFIG).write_text((ada / CONFIG).read_text().replace("{", "{" + line + ", ", 1))
    builds(ada, tiny_gguf)


@pytest.mark.parametrize(
    "config", [{"task_type": "SEQ_CLS"}, {"task_type": "TaskType.SEQ_2_SEQ_LM"}, {"task_type": "TOKEN_CLS"}]
)
def test_another_task(make_adapter, tiny_gguf, config):
    """A classifier is told as one; merging and making a GGUF would not help it."""
    error = refusal(make_adapter(config=config), base=str(tiny_gguf))
    assert (error.code, error.exit_code, error.hint) == ("no-language-model", 4, hints.OTHER_TASK)


def test_t5(make_adapter):
    """Tensors of T5 are known without a task, and no base is suggested."""
    name = "base_model.model.encoder.block.0.layer.0.SelfAttention.q.lora_"
    extra = {f"{name}A.weight": np.ones((3, 20)), f"{name}B.weight": np.ones((20, 3))}
    error = refusal(make_adapter(modules=(), extra=extra, config={"base_model_name_or_path": "google/t5"}))
    assert error.code == "no-language-model"


@pytest.mark.parametrize("kept", ["nothing", "layers.0.", "lora_B"])
def test_nothing_gathered(make_adapter, tiny_gguf, kept):
    """ZeRO-3 leaves empty tensors; that they do not match is not the fault, and to copy them cannot help."""
    ada = make_adapter()
    numbers = read_numbers(ada / WEIGHTS)
    left = {name: each if kept in name else np.zeros((0,)) for name, each in numbers.items()}
    (ada / WEIGHTS).write_bytes(safetensors(left))
    error = refusal(ada, base=str(tiny_gguf))
    assert (error.code, error.exit_code, error.hint) == ("ungathered", 3, hints.GATHER)


def test_a_base_that_is_a_file(make_adapter, tiny_base, tmp_path):
    """What a base known by name cannot tell, its GGUF file tells: --base is followed."""
    ada = make_adapter(head=True)
    with pytest.raises(PackError) as caught:
        plan_lora(read_adapter(ada), tiny_base)
    assert caught.value.hint == hints.BASE_FILES_HINT
    builds(ada, write_model(tmp_path / "untied.gguf", tied=False))


def test_a_checkpoint_of_a_damaged_run(make_adapter, tiny_gguf):
    """Where the adapter at the top is damaged, one of its checkpoints is built."""
    ada = make_adapter()
    write_adapter(ada / "checkpoint-10")
    tensors = factors_without_one()
    (ada / WEIGHTS).write_bytes(safetensors(tensors))
    assert refusal(ada, base=str(tiny_gguf)).hint == hints.COPY_AGAIN
    builds(ada / "checkpoint-10", tiny_gguf)


def factors_without_one() -> dict:
    """Return the tensors of an adapter, but for one B."""
    tensors = factors(Recipe())
    del tensors[next(name for name in tensors if "lora_B" in name)]
    return tensors


def test_extras_exist():
    """An extra that a message has pip install is one of this package."""
    root = Path(__file__).parents[2]
    text = (root / "pyproject.toml").read_text("utf-8")
    named = {
        extra
        for path in (root / "ollama_pack").rglob("*.py")
        for extra in re.findall(r"ollama-pack\[(\w+)\]", path.read_text("utf-8"))
    }
    assert named
    assert [extra for extra in named if not re.search(rf"^{extra} = \[", text, re.MULTILINE)] == []


def test_reading_says_the_same(make_adapter):
    """The library gives the same way out as the command line."""
    ada = make_adapter(config={"task_type": "SEQ_CLS"})
    with pytest.raises(PackError) as caught:
        read_adapter(ada)
    assert caught.value.hint == hints.OTHER_TASK
