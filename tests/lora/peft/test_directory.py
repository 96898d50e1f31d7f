"""Which adapter of a directory is meant, and in which files it lies."""

import json
import re
import shutil

import numpy as np
import pytest
from recipes import safetensors, write_adapter

from ollama_pack.errors import InputError
from ollama_pack.lora.peft.directory import adapters_in, open_adapter, resolve_directory
from ollama_pack.lora.peft.load import read_adapter


@pytest.fixture
def tree(tmp_path):
    """Return a run: an adapter at its top, two below it, and a checkpoint."""
    home = write_adapter(tmp_path / "ada", rank=1)
    write_adapter(home / "style", rank=2)
    write_adapter(home / "deep" / "facts", rank=3)
    write_adapter(home / "checkpoint-3", rank=4)
    return home


def test_the_one_at_the_top(tree):
    """Without a name it is the one at the top; the others are told, checkpoints are none."""
    found = resolve_directory(tree)
    assert (found.home, found.run, found.config_file) == (tree, None, tree / "adapter_config.json")
    assert found.notes == ("not used: facts, style (--adapter NAME selects one of them)",)
    assert adapters_in(tree) == {"style": tree / "style", "facts": tree / "deep" / "facts"}


@pytest.mark.parametrize(("name", "rank"), [("default", 1), ("style", 2), ("facts", 3)])
def test_the_one_named(tree, name, rank):
    """A name takes that one, however deep, and `default` the one at the top."""
    assert read_adapter(tree, adapter=name).rank == rank


def test_the_only_one_below(tree):
    """Where one lies below and none at the top, it is that one, and it is told."""
    (tree / "adapter_config.json").unlink()
    shutil.rmtree(tree / "deep")
    found = resolve_directory(tree)
    assert (found.home, found.notes) == (tree / "style", ("style/ is used, the only adapter here: style",))


def test_several_below(tree):
    """Where several could be meant they are told, with the option that chooses."""
    (tree / "adapter_config.json").unlink()
    with pytest.raises(InputError, match="There are several adapters here: facts, style") as caught:
        open_adapter(resolve_directory(tree))
    assert caught.value.hint == "--adapter facts"


@pytest.mark.parametrize("name", ["voice", "checkpoint-3", "../ada", ""])
def test_no_such_adapter(tree, name):
    """A name that is none is told with those that are; a checkpoint is none."""
    if not name:
        shutil.rmtree(tree / "style")
        shutil.rmtree(tree / "deep")
        (tree / "adapter_config.json").unlink()
    with pytest.raises(InputError) as caught:
        resolve_directory(tree, name)
    assert caught.value.where == str(tree)


def test_shards(tree):
    """Weights in several files are read together, by their index."""
    whole = (tree / "adapter_model.safetensors").read_bytes()
    before = read_adapter(tree)
    names, files = {}, {}
    for number, pair in enumerate(before.pairs):
        shard = f"adapter_model-0000{1 + number % 2}-of-00002.safetensors"
        for side in (pair.a, pair.b):
            raw = whole[side.offset : side.offset + side.nbytes]
            files.setdefault(shard, {})[side.name] = np.frombuffer(raw, "<f4").reshape(side.shape)
            names[side.name] = shard
    for shard, tensors in files.items():
        (tree / shard).write_bytes(safetensors(tensors))
    (tree / "adapter_model.safetensors").unlink()
    (tree / "adapter_model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert [pair.module for pair in read_adapter(tree).pairs] == [pair.module for pair in before.pairs]
    (tree / shard).write_bytes(safetensors({"x": np.ones((1, 1))}))
    with pytest.raises(InputError, match="No shard has the tensor"):
        read_adapter(tree)


@pytest.mark.parametrize(
    "index", [{}, {"weight_map": []}, {"weight_map": {"x": 1}}, {"weight_map": {"x": "../y"}}]
)
def test_index_that_names_no_files(tree, index):
    """An index that does not name files beside it is damaged."""
    (tree / "adapter_model.safetensors").unlink()
    (tree / "adapter_model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"does not map tensor names|is not a file in"):
        read_adapter(tree)


def test_no_weights(tree):
    """A configuration without weights is told, with the checkpoint that has some."""
    (tree / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match=r"no adapter_model\.safetensors") as caught:
        open_adapter(resolve_directory(tree))
    assert caught.value.hint.startswith("ollama-pack build ")


@pytest.mark.parametrize("file", ["a\0b", "\ud800"], ids=["a null byte", "half a letter"])
def test_index_with_names_no_file_can_have(tree, file):
    """A name that no file can have is an InputError."""
    (tree / "adapter_model.safetensors").unlink()
    index = json.dumps({"weight_map": {"x": file}})
    (tree / "adapter_model.safetensors.index.json").write_text(index)
    with pytest.raises(InputError):
        read_adapter(tree)


def test_two_of_one_name(tmp_path):
    """Two adapters whose directories have one name are two: none is taken unasked."""
    for run in ("monday", "tuesday"):
        write_adapter(tmp_path / run / "style")
    with pytest.raises(InputError, match="There are several adapters here"):
        open_adapter(resolve_directory(tmp_path))


@pytest.mark.parametrize("name", ["epoch_0.pt", "adapters.npz", "adapter_model-00001-of-00002.safetensors"])
def test_weights_under_a_strange_name(tmp_path, name):
    """Weights that no trainer saves under this name are told, and what to do."""
    home = write_adapter(tmp_path / "ada")
    (home / "adapter_model.safetensors").rename(home / name)
    with pytest.raises(InputError, match=re.escape(f"there is {name}")) as caught:
        open_adapter(resolve_directory(home))
    assert ("python -c" if name.endswith(".npz") else "save the adapter with PEFT") in caught.value.hint
