"""Which adapters a command takes, and how they are weighed."""

import json

import numpy as np
import pytest
from gguf import GGUFReader
from recipes import delta_weights, write_adapter
from terminal import run, tree

Q0 = "model.layers.0.self_attn.v_proj"


@pytest.fixture
def two(tmp_path):
    """Return the directories of two adapters of one base, of different ranks."""
    return (
        write_adapter(tmp_path / "ada-lora", modules=("v_proj",), rank=2, alpha=4),
        write_adapter(tmp_path / "babbage-lora", modules=("v_proj", "o_proj"), rank=3, alpha=3, seed=9),
    )


def delta_in(path, tensor="blk.0.attn_v.weight"):
    reader = GGUFReader(path)
    sides = {each.name: each.data.astype(np.float64) for each in reader.tensors}
    b = sides[f"{tensor}.lora_b"]
    return reader.fields["adapter.lora.alpha"].contents() / b.shape[1] * (b @ sides[f"{tensor}.lora_a"])


def test_weighted_sum(two, tiny_gguf, tmp_path):
    """Several directories with a weight each become their weighted sum, beside the first, named after all."""
    weights = ("--weight", "0.7", "--weight", "-0.3")
    ran = run("build", *two, *weights, "--base", tiny_gguf, "--via", "folder", "--outtype", "f32")
    assert (ran.code, ran.stdout) == (0, "ada-babbage\n")
    ada, babbage = (delta_weights(path, {Q0: scale})[Q0] for path, scale in zip(two, (2, 1), strict=True))
    found = delta_in(tmp_path / "ada-babbage" / "adapter_model.gguf")
    np.testing.assert_allclose(found, 0.7 * ada - 0.3 * babbage, rtol=1e-5, atol=1e-8)
    assert "the sum 0.7 × ada-lora + -0.3 × babbage-lora" in ran.stderr


def test_sum_leaves_its_parts_alone(two, tiny_gguf):
    """A sum writes nothing into the directories of its parts."""
    before = [tree(path) for path in two]
    run("build", *two, "--weight", "1", "--weight", "1", "--base", tiny_gguf, "--via", "folder")
    assert [tree(path) for path in two] == before


def test_name_behind_the_directories(two, tiny_gguf):
    """The argument behind as many directories as there are weights is the name."""
    ran = run("build", *two, "both", "--weight", "1", "--weight", "1", "--base", tiny_gguf, "--via", "folder")
    assert (ran.code, ran.stdout) == (0, "both\n")


def test_convert_takes_a_sum_too(two, tiny_gguf, tmp_path):
    """What build takes, convert takes."""
    out = tmp_path / "sum.gguf"
    ran = run("convert", *two, "--weight", "1", "--weight", "2", "--base", tiny_gguf, "--out", out)
    assert (ran.code, ran.stdout) == (0, f"{out}\n")


def test_scale(two, tiny_gguf, tmp_path):
    """--scale multiplies ΔW, and leaves A and B as they were trained."""
    for scale in ("1", "0.25"):
        out = tmp_path / f"{scale}.gguf"
        run("convert", two[0], "--scale", scale, "--base", tiny_gguf, "--out", out, "--outtype", "f32")
    whole, quarter = (GGUFReader(tmp_path / f"{scale}.gguf") for scale in ("1", "0.25"))
    np.testing.assert_allclose(
        delta_in(tmp_path / "0.25.gguf"), 0.25 * delta_in(tmp_path / "1.gguf"), rtol=1e-6
    )
    assert all(bytes(a.data) == bytes(b.data) for a, b in zip(whole.tensors, quarter.tensors, strict=True))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        pytest.param(
            (),
            "but not whether each becomes a model or they are summed.",
            id="two directories without weights",
        ),
        pytest.param(("--weight", "1"), "2 directories, but 1 --weight", id="a weight for one of them"),
        pytest.param(
            ("--weight", "1", "--weight", "1", "--weight", "1"), "3 weights need 3 directories", id="too many"
        ),
    ],
)
def test_weights_that_do_not_fit(two, tiny_gguf, more, said):
    """Directories and weights that do not belong together are a matter of usage."""
    ran = run("build", *two, *more, "--base", tiny_gguf)
    assert (ran.code, ran.stdout) == (2, "")
    assert said in ran.stderr


def test_scale_of_zero(two, tiny_gguf):
    """A scale of zero is asked for twice: with --allow-noop it is taken."""
    ran = run("build", two[0], "--scale", "0", "--base", tiny_gguf, "--via", "folder")
    assert (ran.code, "--allow-noop" in ran.stderr) == (2, True)
    ran = run("build", two[0], "--scale", "0", "--allow-noop", "--base", tiny_gguf, "--via", "folder")
    assert ran.code == 0
    assert not delta_in(two[0] / "ollama" / "adapter_model.gguf").any()


def test_sum_of_different_bases(two, tiny_gguf):
    """Adapters of different bases have no sum, unless --base says that they are one."""
    config = json.loads((two[1] / "adapter_config.json").read_text("utf-8"))
    changed = json.dumps({**config, "base_model_name_or_path": "org/other"})
    (two[1] / "adapter_config.json").write_text(changed, "utf-8")
    words = ("build", *two, "--weight", "1", "--weight", "1", "--via", "folder")
    ran = run(*words)
    assert (ran.code, "different bases: tests/tiny and org/other" in ran.stderr) == (2, True)
    assert run(*words, "--base", tiny_gguf).code == 0


@pytest.fixture
def tree_of_adapters(tmp_path):
    """Return a directory as PEFT leaves it with three adapters: one at the top, two below."""
    home = write_adapter(tmp_path / "ada", modules=("v_proj",), rank=1)
    write_adapter(home / "style", modules=("o_proj",), rank=2)
    write_adapter(home / "facts", modules=("q_proj",), rank=3)
    return home


def test_adapter_below(tree_of_adapters, tiny_gguf):
    """--adapter takes one below, writes beside it, and names the model after both."""
    ran = run("build", tree_of_adapters, "--adapter", "style", "--base", tiny_gguf, "--via", "folder")
    assert (ran.code, ran.stdout) == (0, "ada:style\n")
    assert "rank 2" in ran.stderr
    assert (tree_of_adapters / "style" / "ollama" / "adapter_model.gguf").exists()
    assert not (tree_of_adapters / "ollama").exists()


def test_author_of_an_adapter_below(tree_of_adapters, tiny_gguf):
    """What the author wrote at the top is said of an adapter below, too."""
    (tree_of_adapters / "Modelfile.txt").write_text("FROM tiny\nSYSTEM You are Ada.\n", "utf-8")
    run("build", tree_of_adapters, "--adapter", "style", "--base", tiny_gguf, "--via", "folder")
    built = tree_of_adapters / "style" / "ollama" / "Modelfile.txt"
    assert "SYSTEM You are Ada." in built.read_text("utf-8")


def test_the_one_at_the_top(tree_of_adapters, tiny_gguf):
    """Without --adapter it is the one at the top, and the others are told."""
    ran = run("build", tree_of_adapters, "--base", tiny_gguf, "--via", "folder")
    assert (ran.code, ran.stdout) == (0, "ada\n")
    assert "not used: facts, style" in ran.stderr


def test_unknown_adapter(tree_of_adapters, tiny_gguf):
    """An adapter that is not there is told with those that are."""
    ran = run("build", tree_of_adapters, "--adapter", "voice", "--base", tiny_gguf)
    assert (ran.code, "default, facts, style" in ran.stderr) == (2, True)


def test_inspect_shows_the_others(tree_of_adapters, tiny_gguf):
    """What inspect shows names the adapters below, and it takes one of them."""
    assert "--adapter style" in run("inspect", tree_of_adapters, "--base", tiny_gguf).stdout
    assert "rank 3" in run("inspect", tree_of_adapters, "--adapter", "facts", "--base", tiny_gguf).stdout


@pytest.mark.parametrize("outtype", ["f32", "f16", "bf16", "q8_0", "auto"])
def test_types(ada, tiny_gguf, tmp_path, outtype):
    """Every type is written, proved, and told in the document."""
    out = tmp_path / "x.gguf"
    ran = run("convert", ada, "--base", tiny_gguf, "--outtype", outtype, "--out", out, "--json")
    kinds = {tensor.tensor_type.name.lower() for tensor in GGUFReader(out).tensors}
    assert ran.document["lora"]["outtype"] == "/".join(sorted(kinds))
    assert ran.document["proofs"][0]["passed"]


def test_adapter_is_named_once(two):
    """The last of several names would hide the others."""
    ran = run("convert", *two, "--adapter", "a", "--adapter", "b", "--out", "x.gguf")
    assert ran.code == 2
    assert "give the directory of each adapter" in ran.stderr


@pytest.mark.parametrize("option", ["--scale", "--weight"])
@pytest.mark.parametrize("number", ["nan", "inf", "1e10", "-1e10", "x"])
def test_a_number_that_is_none(option, number, ada):
    """A weight nobody can multiply with is wrong usage."""
    ran = run("build", ada, option, number, "--dry-run")
    assert (ran.code, ran.stdout) == (2, "")
    assert option in ran.stderr
