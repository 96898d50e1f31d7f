"""What each file of a training run is for, without opening any."""

import os
from pathlib import Path

import pytest

from ollama_pack.errors import InputError
from ollama_pack.run import listing
from ollama_pack.run.file_roles import COMPARED, DIRECTORIES, LEFT_OUT, USED, role_of
from ollama_pack.run.file_roles import FILES as ROWS
from ollama_pack.run.listing import list_files

FILES = {
    "adapter_config.json": ("configuration", USED),
    "adapter_model.safetensors": ("adapter weights", USED),
    "Modelfile.txt": ("Modelfile", USED),
    "Modelfile": ("Modelfile, read if there is no Modelfile.txt", USED),
    "adapter_model.gguf": ("GGUF LoRA, made by a build", LEFT_OUT),
    "ollama-manifest.json": ("manifest or configuration, made by a build", LEFT_OUT),
    "ollama-config.json": ("manifest or configuration, made by a build", LEFT_OUT),
    "adapter_model.bin": ("adapter weights, a pickle: torch reads only its tensors", USED),
    "adapter_model.pt": ("adapter weights of torchtune, a pickle", LEFT_OUT),
    "adapters.safetensors": ("adapter weights of mlx-lm", USED),
    "0000100_adapters.safetensors": ("adapter weights of mlx-lm, of an earlier step", LEFT_OUT),
    "adapter_model-00001-of-00002.safetensors": ("adapter weights, a part", USED),
    "tokenizer.json": ("tokenizer", COMPARED),
    "tokenizer.model": ("tokenizer", COMPARED),
    "chat_template.jinja": ("prompt format", COMPARED),
    "optimizer.pt": ("training state, a pickle", LEFT_OUT),
    "rng_state_0.pth": ("training state, a pickle", LEFT_OUT),
    "training_args.bin": ("training arguments, a pickle", LEFT_OUT),
    "trainer_state.json": ("training log", LEFT_OUT),
    "README.md": ("model card", LEFT_OUT),
    "LICENSE": ("licence", LEFT_OUT),
    "thesis.doc": ("unknown", LEFT_OUT),
    "modelfile.txt": ("unknown", LEFT_OUT),
}


OTHERS = {
    "Accelerate": ("random_states_0.pkl", "scheduler.bin", "sampler.bin", "custom_checkpoint_0.pkl"),
    "DeepSpeed": ("latest", "zero_to_fp32.py", "zero_pp_rank_0_mp_rank_00_model_states.pt"),
    "FSDP": ("__0_0.distcp", ".metadata", "pytorch_model_fsdp.bin", "optimizer.bin"),
    "TRL": ("value_head.safetensors", "value_head.bin", "completions_00010.parquet"),
    "Unsloth": ("unsloth.Q4_K_M.gguf", "chat_template.json"),
    "Axolotl": ("debug.log", "axolotl_config.yml", "tokens_state.json"),
    "LLaMA-Factory": ("trainer_log.jsonl", "training_loss.png", "all_results.json", "llamaboard_config.yaml",
                      "training_args.yaml", "running_log.txt", "generated_predictions.jsonl"),
    "torchtune": ("adapter_model.pt", "recipe_state.pt", "torchtune_config.yaml"),
    "Hugging Face": (".gitattributes", "config.json", "generation_config.json",
                     "model.safetensors.index.json", "spiece.model", "USE_POLICY.md"),
    "TensorBoard": ("events.out.tfevents.1700000000.host.1.0",),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_role(tmp_path, name):
    """A file's name says what it is for and whether a build uses it; case counts."""
    (tmp_path / name).write_bytes(b"12345")
    (file,) = list_files(tmp_path).files
    assert (file.name, file.role.title, file.use, file.size) == (name, *FILES[name], 5)


@pytest.mark.parametrize("names", OTHERS.values(), ids=OTHERS)
def test_what_other_trainers_leave(names):
    """Files of every trainer have a role, and a sentence that explains it; nothing of them is used."""
    for name in names:
        role = role_of(name)
        assert (role.kind != "unknown", role.use) == (True, LEFT_OUT), name
        assert role.words.endswith(".")


def test_pickles_are_known():
    """Whatever may hold code is marked, so that it is looked at as data."""
    for name in ("optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state.pth", "training_args.bin", "a.pkl",
                 "adapter_model.bin", "pytorch_model.bin", "x.ckpt", ".metadata"):  # fmt: skip
        assert role_of(name).pickle, name
    for name in (
        "adapter_model.safetensors",
        "optimizer.safetensors",
        "trainer_state.json",
        "tokenizer.model",
    ):
        assert not role_of(name).pickle, name


def test_pickle_beside_the_weights(tmp_path):
    """Where the weights are there without a pickle, the pickle is left out."""
    for name in ("adapter_model.bin", "adapter_model.safetensors"):
        (tmp_path / name).touch()
    assert {file.name: file.use for file in list_files(tmp_path).files}["adapter_model.bin"] == LEFT_OUT


def test_adapter_below(tmp_path):
    """A directory that holds another adapter says how to take it; no build of this one uses its files."""
    (tmp_path / "style").mkdir()
    (tmp_path / "style" / "adapter_config.json").touch()
    told = [(file.name, file.role.title, file.use) for file in list_files(tmp_path).files]
    assert told == [
        ("style/", "another adapter: --adapter style", LEFT_OUT),
        ("style/adapter_config.json", "configuration", LEFT_OUT),
    ]


def test_every_pattern_matters():
    """No row of a table is a copy of another, each has one of three uses, and none hides behind another."""
    for rows in (ROWS, DIRECTORIES):
        patterns = [pattern for pattern, _ in rows]
        assert len(set(patterns)) == len(patterns)
        for pattern, role in rows:
            example = pattern.replace("[0-9]*", "30").replace("[CS]", "C").replace("*", "1")
            assert role_of(example, directory=rows is DIRECTORIES) is role, pattern
    assert {role.use for _, role in ROWS} == {USED, COMPARED, LEFT_OUT}


def test_order(tmp_path):
    """Used files come first, then the others, directories last with what lies in them, each by name."""
    for name in ("z.txt", "adapter_model.safetensors", "a.txt", ".hidden", "adapter_config.json"):
        (tmp_path / name).touch()
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "b").touch()
    names = [file.name for file in list_files(tmp_path).files]
    assert names == [
        "adapter_config.json",
        "adapter_model.safetensors",
        ".hidden",
        "a.txt",
        "z.txt",
        "0/",
        "0/b",
    ]


def test_checkpoint(tmp_path):
    """A checkpoint has the size of all that lies in it, however deep."""
    inner = tmp_path / "checkpoint-30" / "deep"
    inner.mkdir(parents=True)
    (inner / "a").write_bytes(b"12345")
    (inner.parent / "b").write_bytes(b"123")
    found = {file.name: (file.role.title, file.size) for file in list_files(tmp_path).files}
    assert found["checkpoint-30/"] == ("checkpoint", 8)
    assert found["checkpoint-30/deep/a"] == ("unknown", 5)


def test_links_are_not_followed(tmp_path):
    """A link to a directory is not walked into; one to a file has its size; one to nowhere is told."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "huge").write_bytes(bytes(100_000))
    folder = tmp_path / "ada"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "cache")
    (folder / "loop").symlink_to(folder)
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    (folder / "adapter_model.safetensors").symlink_to(tmp_path / "cache" / "huge")
    os.mkfifo(folder / "optimizer.pt")
    found = {file.name: file for file in list_files(folder).files}
    assert found["adapter_model.safetensors"].size == 100_000
    assert found["adapter_model.safetensors"].link
    titles = {name: file.role.title for name, file in found.items()}
    assert (titles["link"], titles["loop"], titles["dangling"]) == (
        *("link to a directory", "link to a directory", "broken link"),
    )
    assert titles["optimizer.pt"] == "neither file nor directory"
    assert len(found) == 5


def test_too_many(tmp_path, monkeypatch):
    """Of a directory with more files than anybody reads the rest is counted; it ends, however deep."""
    monkeypatch.setattr(listing, "MOST_FILES", 50)
    for number in range(80):
        (tmp_path / f"{number}.txt").touch()
    found = list_files(tmp_path)
    assert (len(found.files), found.more) == (50, 30)
    deep = tmp_path / "a"
    for _ in range(60):
        deep = deep / "a"
    deep.mkdir(parents=True)
    (deep / "file").touch()
    monkeypatch.setattr(listing, "MOST_FILES", 10_000)
    assert not any(file.name.endswith("file") for file in list_files(tmp_path).files)


def test_names_that_are_none(tmp_path):
    """Names with a line break, of another encoding, or with a terminal's escapes are files like others."""
    for name in (b"two\nlines", b"\xff\xfe", b"\x1b[31mred"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    assert len(list_files(tmp_path).files) == 3


@pytest.mark.parametrize("name", ["nowhere", "file", "a" * 300])
def test_no_directory(tmp_path, name):
    """What is no directory, or none that can be named, is an InputError that says where."""
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"no such directory|is a file") as caught:
        list_files(tmp_path / name)
    assert caught.value.where == str(tmp_path / name)


def test_kinds_of_many_directories(tmp_path):
    """What lies in each directory is counted in one pass, however many there are."""
    for number in range(3000):
        (tmp_path / f"checkpoint-{number}").mkdir()
        (tmp_path / f"checkpoint-{number}" / "optimizer.pt").touch()
    kinds = list_files(tmp_path).kinds()
    assert len(kinds) == 3000
    assert kinds["checkpoint-7/"] == {"training state": 1}
