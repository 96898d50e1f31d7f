"""A base that is named is compared with the one in training, by every command and every delivery."""

import json
import shutil
from pathlib import Path

import pytest
from recipes import write_adapter
from terminal import add_base, run

from ollama_pack.base.lookup import read_base_by_name

SMOLLM2 = "HuggingFaceTB/SmolLM2-135M-Instruct"
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_hidden_layers": 30,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
}
OTHER_HEADS = {"head_dim": 32, "num_attention_heads": 18, "num_key_value_heads": 6}


@pytest.fixture
def config(tmp_path):
    """Return what writes the config.json of a base and returns its directory."""

    def write(**changes):
        folder = tmp_path / "base"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}))
        return folder

    return write


@pytest.fixture
def nameless(tmp_path):
    """Return an adapter of SmolLM2 135M that was trained from a directory nobody knows."""
    return write_adapter(
        tmp_path / "nameless-lora",
        base=read_base_by_name("smollm2:135m"),
        modules=("q_proj", "k_proj"),
        layers=(0,),
        config={"base_model_name_or_path": "./step-5000"},
    )


COMMANDS = {
    "build": ("build", "--via", "folder"),
    "dry run": ("build", "--dry-run", "--via", "folder"),
    "convert": ("convert",),
    "modelfile": ("modelfile",),
    "inspect": ("inspect",),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_directory_with_other_heads(command, smol, config):
    """The numbers that place rows are those of the base that the adapter names, and of no other."""
    first, *more = COMMANDS[command]
    ran = run(first, smol, "--base", config(**OTHER_HEADS), *more)
    assert ran.code == 5
    said = ran.stderr + ran.stdout
    assert "heads: the adapter was trained with 9 heads, and the base has 18" in said
    assert "config.json in base" in said
    assert not (smol / "adapter_model.gguf").exists()
    assert run(first, smol, "--base", config(), *more).code == 0


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("base", ["smollm:135m", "HuggingFaceTB/SmolLM-135M", "smollm:135m-instruct-q8_0"])
def test_a_sibling_with_the_same_shapes(command, base, smol):
    """The catalog knows that these are other weights: a warning, and no build that is strict."""
    first, *more = COMMANDS[command]
    given = ("--base", base, *more)
    ran = run(first, smol, *given, "--strict")
    assert ran.code == 5
    assert f"relative: the adapter was trained with {SMOLLM2}, and the base has the weights of" in (
        ran.stderr + ran.stdout
    )
    if "SmolLM-135M" in base and first in ("build", "modelfile", "inspect"):
        return  # the row of the base model has no tag to build FROM
    assert run(first, smol, *given, "--strict", "--base-mismatch-ok", "relative").code == 0
    if first != "modelfile":  # it prints a Modelfile, and nothing else
        told = run(first, smol, *given)
        assert "relative: " in told.stderr + told.stdout


def test_the_chat_model_for_an_adapter_of_the_base_model(tmp_path):
    """qwen2.5:3b is the instruct model."""
    adapter = write_adapter(
        tmp_path / "ada-lora",
        base=read_base_by_name("qwen2.5:3b"),
        modules=("q_proj",),
        layers=(0,),
        config={"base_model_name_or_path": "unsloth/Qwen2.5-3B-bnb-4bit"},
    )
    ran = run("build", adapter, "--base", "qwen2.5:3b", "--via", "folder", "--strict")
    assert ran.code == 5
    assert "Error: qwen2.5:3b may not be the base this adapter was trained on" in ran.stderr
    assert "relative: the adapter was trained with Qwen/Qwen2.5-3B" in ran.stderr


def test_rows_that_were_placed_for_another_base(nameless, config, tmp_path, models):
    """Where nothing knows the adapter's base, a release is compared with the base that it meets later.

    The numbers that placed the rows are in its lock, and nobody can accept others.
    """
    (nameless / "Modelfile.txt").write_text("FROM my-smol\n")
    release = tmp_path / "release"
    made = run("build", nameless, "--base", config(**OTHER_HEADS), "--via", "folder", "--out", release)
    assert made.code == 2  # a directory alone says nothing to build FROM
    add_base(models, write_smol(tmp_path / "smol.gguf", heads=18, kv=6), "my-smol", "latest")
    assert run("build", nameless, "--via", "folder", "--out", release).code == 0
    shutil.rmtree(models)
    add_base(models, write_smol(tmp_path / "smol.gguf"), "my-smol", "latest")
    moved = ("--base-mismatch-ok", "moved")
    for accepted in ((), ("--base-mismatch-ok", "heads", "--base-mismatch-ok", "head-dim")):
        ran = run("register", release, "ada", "--via", "store", *moved, *accepted)
        assert ran.code == 5
        assert "row-order: the adapter was trained with rows placed for 18 heads (6 KV) of 32" in ran.stderr
        assert "the base has 9 heads (3 KV) of 64" in ran.stderr


def write_smol(path, **changes):
    """Write as much of SmolLM2 135M as the adapters are on, with its numbers but for the changes."""
    import numpy as np
    from gguf import GGUFWriter

    numbers = {"heads": 9, "kv": 3, "rope": 100000.0, "context": 8192, "epsilon": 1e-5, **changes}
    writer = GGUFWriter(path, "llama")
    writer.add_name("Smollm2 135M Instruct")
    writer.add_block_count(30)
    writer.add_embedding_length(576)
    writer.add_feed_forward_length(1536)
    writer.add_head_count(numbers["heads"])
    writer.add_head_count_kv(numbers["kv"])
    writer.add_layer_norm_rms_eps(numbers["epsilon"])
    writer.add_context_length(numbers["context"])
    if numbers["rope"]:
        writer.add_rope_freq_base(numbers["rope"])
    if "merges" in numbers:
        writer.add_token_list(["a", "b", "ab", "abb"])
        writer.add_token_merges(numbers["merges"])
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((576, 576), np.float16))
    writer.add_tensor("blk.0.attn_k.weight", np.zeros((192, 576), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"rope": 10000.0}, "rope-base"),
        ({"rope": None}, "rope-base"),
        ({"epsilon": 1e-6}, "norm-epsilon"),
        ({"context": 2048}, "context"),
    ],
)
def test_numbers_that_no_shape_shows(changes, code, smol, tmp_path):
    """The catalog has them, so that they are compared offline."""
    right = write_smol(tmp_path / "right.gguf")
    assert run("inspect", smol, "--base", right, "--strict").code == 0
    base = write_smol(tmp_path / "other.gguf", **changes)
    for command in (("build", smol, "ada", "--via", "folder"), ("inspect", smol)):
        ran = run(*command, "--base", base, "--strict")
        assert ran.code == 5
        assert f"{code}: the adapter was trained with" in ran.stderr + ran.stdout
    assert run("inspect", smol, "--base", base, "--strict", "--base-mismatch-ok", code).code == 0


def test_a_tag_that_has_moved(smol, tmp_path, models):
    """A base with other weights than at the last build is told, and no strict build goes on."""
    add_base(models, write_smol(tmp_path / "one.gguf"), "smollm2", "135m")
    given = ("build", smol, "ada", "--via", "store")
    made = Path(run(*given, "--json").document["lock"])
    assert run(*given, "--strict").code == 0
    lock = json.loads(made.read_text())
    lock["base"]["blob"] = f"sha256:{'0' * 64}"
    made.write_text(json.dumps(lock))
    for command in (given, ("build", smol, "ada", "--via", "folder"), ("inspect", smol)):
        ran = run(*command, "--strict")
        assert ran.code == 5
        assert "moved: smollm2:135m has changed since the last build" in ran.stderr + ran.stdout
        assert "--base-mismatch-ok moved" in ran.stderr + ran.stdout
    ran = run(*given, "--strict", "--base-mismatch-ok", "moved")
    assert ran.code == 0
    assert ran.stderr.count("has changed since the last build") == 1


@pytest.mark.parametrize("via", ["store", "folder"])
def test_what_has_moved_is_a_field(smol, tmp_path, models, via):
    """The digests of a base that changed are values, whether the base was known before the build or after."""
    add_base(models, write_smol(tmp_path / "one.gguf"), "smollm2", "135m")
    given = ("build", smol, "ada", "--via", "store", "--json")
    first = run(*given).document
    before = f"sha256:{'0' * 64}"
    lock = json.loads(Path(first["lock"]).read_text())
    now, lock["base"]["blob"] = lock["base"]["blob"], before
    Path(first["lock"]).write_text(json.dumps(lock))
    moved = run("build", smol, "ada", "--via", via, "--json").document["delivery"]["base_moved"]
    assert (first["delivery"]["base_moved"], moved) == (None, {"what": "blob", "before": before, "now": now})


def test_a_file_that_has_changed(smol, tmp_path):
    """A strict build reads the file that is its base, and compares it with that of the last build."""
    base = write_smol(tmp_path / "base.gguf")
    given = ("build", smol, "ada", "--base", base, "--via", "store", "--strict")
    assert run(*given).code == 0
    content = bytearray(base.read_bytes())
    content[-1] ^= 1
    base.write_bytes(content)
    ran = run(*given)
    assert ran.code == 5
    assert "moved: the base has changed since the last build" in ran.stderr


def test_a_release_on_other_weights(smol, tmp_path, models):
    """`register` says and refuses what `build` does, where a release says FROM another model."""
    add_base(models, write_smol(tmp_path / "one.gguf"), "smollm", "135m")
    release = tmp_path / "release"
    assert run("build", smol, "ada", "--base", "smollm:135m", "--via", "folder", "--out", release).code == 0
    given = ("register", release, "ada", "--via", "store")
    ran = run(*given, "--strict")
    assert ran.code == 5
    assert f"relative: the adapter was trained with {SMOLLM2}" in ran.stderr
    ran = run(*given)
    assert ran.code == 0
    assert "relative: " in ran.stderr


@pytest.mark.parametrize("fast", [True, False])
def test_merges_of_another_tokenizer(smol, tmp_path, fast):
    """The same tokens with other merges make other text of the same letters: told, and strict builds stop."""
    vocabulary = {"a": 0, "b": 1, "ab": 2, "abb": 3}
    if fast:
        model = {"vocab": vocabulary, "merges": [["a", "b"], ["ab", "b"]]}
        (smol / "tokenizer.json").write_text(json.dumps({"model": model}))
    else:
        (smol / "vocab.json").write_text(json.dumps(vocabulary))
        (smol / "merges.txt").write_text("#version: 0.2\na b\nab b\n")
    right = write_smol(tmp_path / "right.gguf", merges=["a b", "ab b"])
    other = write_smol(tmp_path / "other.gguf", merges=["b b", "a b"])
    call = ("build", smol, "--via", "store", "--strict", "--base")
    agrees = run(*call, right, "--json").document["delivery"]["base_check"]["agrees"]
    assert {"4 tokens", "2 merges"} <= set(agrees)
    elsewhere = ("--out", tmp_path / "out")
    ran = run(*call, other, *elsewhere)
    assert ran.code == 5
    assert "trained with 2 merges, 'a b' as number 1, and the base has 2 merges, 'b b'" in ran.stderr
    assert "the same text would become other tokens" in ran.stderr
    assert run(*call, other, *elsewhere, "--base-mismatch-ok", "merges").code == 0
