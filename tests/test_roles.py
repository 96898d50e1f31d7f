"""What each file of an adapter directory is for, without opening any."""

import pytest

from ollama_pack.errors import InputError
from ollama_pack.roles import LEFT_OUT, ROLES, USED, File, list_files

FILES = {
    "adapter_config.json": ("configuration", USED),
    "adapter_model.safetensors": ("adapter weights", USED),
    "Modelfile.txt": ("Modelfile", USED),
    "adapter_model.gguf": ("GGUF LoRA, made by a build", LEFT_OUT),
    "ollama-manifest.json": ("manifest and configuration, made by a build", LEFT_OUT),
    "ollama-config.json": ("manifest and configuration, made by a build", LEFT_OUT),
    "adapter_model.bin": ("adapter weights, a pickle: torch reads its tensors, and nothing else", USED),
    "adapter_model.pt": ("adapter weights of torchtune, a pickle", LEFT_OUT),
    "adapters.safetensors": ("adapter weights of mlx-lm", USED),
    "0000100_adapters.safetensors": ("adapter weights of mlx-lm, of an earlier step", LEFT_OUT),
    "adapter_model-00001-of-00002.safetensors": ("adapter weights, a part", USED),
    "tokenizer.json": ("tokenizer", LEFT_OUT),
    "tokenizer.model": ("tokenizer", LEFT_OUT),
    "optimizer.pt": ("training state, a pickle", LEFT_OUT),
    "rng_state_0.pth": ("training state, a pickle", LEFT_OUT),
    "training_args.bin": ("training arguments, a pickle", LEFT_OUT),
    "trainer_state.json": ("training log", LEFT_OUT),
    "README.md": ("model card", LEFT_OUT),
    "LICENSE": ("licence", LEFT_OUT),
    "thesis.doc": ("unknown", LEFT_OUT),
    "modelfile.txt": ("unknown", LEFT_OUT),
}


@pytest.mark.parametrize("name", FILES)
def test_role(tmp_path, name):
    """A file's name says what it is for and whether a build uses it; case counts."""
    (tmp_path / name).write_bytes(b"12345")
    assert list_files(tmp_path) == (File(name, *FILES[name], 5),)


def test_pickle_beside_the_weights(tmp_path):
    """Where the weights are there without a pickle, the pickle is left out."""
    for name in ("adapter_model.bin", "adapter_model.safetensors"):
        (tmp_path / name).touch()
    assert {file.name: file.use for file in list_files(tmp_path)}["adapter_model.bin"] == LEFT_OUT


def test_adapter_below(tmp_path):
    """A directory that holds another adapter says how to take it."""
    (tmp_path / "style").mkdir()
    (tmp_path / "style" / "adapter_config.json").touch()
    assert [file.role for file in list_files(tmp_path)] == ["another adapter: --adapter style"]


def test_every_pattern_matters():
    """No row of the table is a copy of another, and each has one of the two uses."""
    patterns = [pattern for pattern, _, _ in ROLES]
    assert len(set(patterns)) == len(patterns)
    assert {use for _, _, use in ROLES} == {USED, LEFT_OUT}


def test_order(tmp_path):
    """Used files come first, then the others, directories last, each by name; hidden files are left away."""
    for name in ("z.txt", "adapter_model.safetensors", "a.txt", ".hidden", "adapter_config.json"):
        (tmp_path / name).touch()
    (tmp_path / "0").mkdir()
    names = [file.name for file in list_files(tmp_path)]
    assert names == ["adapter_config.json", "adapter_model.safetensors", "a.txt", "z.txt", "0/"]


def test_checkpoint(tmp_path):
    """A checkpoint counts as one entry with the size of all that lies in it."""
    inner = tmp_path / "checkpoint-30" / "deep"
    inner.mkdir(parents=True)
    (inner / "a").write_bytes(b"12345")
    (inner.parent / "b").write_bytes(b"123")
    assert list_files(tmp_path) == (File("checkpoint-30/", "checkpoint", LEFT_OUT, 8),)


def test_links_are_not_followed(tmp_path):
    """A link to a directory is not walked into, and a link to nowhere is no error."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "huge").write_bytes(bytes(100_000))
    folder = tmp_path / "ada"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "cache")
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    sizes = {file.name: file.size for file in list_files(folder)}
    assert sizes.keys() == {"link", "dangling"}
    assert max(sizes.values()) < 10_000


@pytest.mark.parametrize("name", ["nowhere", "file", "a" * 300])
def test_no_directory(tmp_path, name):
    """What is no directory, or none that can be named, is an InputError that says where."""
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot read the directory") as caught:
        list_files(tmp_path / name)
    assert caught.value.where == str(tmp_path / name)
