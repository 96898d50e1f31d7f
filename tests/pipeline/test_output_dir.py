"""Where the files of a build go, and what they leave alone: caches, the author's file, a clone."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from recipes import write_adapter
from terminal import model_in, run, spawn, tree

from ollama_pack.base.hf_cache import is_downloaded, repository_of
from ollama_pack.base.lookup import read_base_by_name
from ollama_pack.ollama.names import parse_name
from ollama_pack.pipeline.inputs import resolve_inputs
from ollama_pack.pipeline.output_dir import default_output_dir
from ollama_pack.pipeline.request import Request

ROOT = Path(__file__).parent.parent.parent
REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def working(tmp_path, monkeypatch):
    """Keep every build away from the user's Ollama, and return the working directory."""
    for name, value in {"OLLAMA_HOST": "127.0.0.1:9", "OLLAMA_MODELS": tmp_path / "models"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "working").mkdir()
    monkeypatch.chdir(tmp_path / "working")
    return tmp_path / "working"


@pytest.fixture
def snapshot(tmp_path, monkeypatch):
    """Return an adapter in the cache of Hugging Face, whose files are links, as its library makes them."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--alice--Ada-lora"
    directory = repository / "snapshots" / REVISION
    write_adapter(directory)
    (repository / "blobs").mkdir()
    for number, path in enumerate(sorted(directory.iterdir())):
        blob = path.replace(repository / "blobs" / str(number))
        path.symlink_to(os.path.relpath(blob, directory))
    return directory


def test_a_cache_is_not_written(snapshot, tiny_gguf, tmp_path, working):
    """What is in a cache of downloads stays as it is; the repository names the model and the directory."""
    before = tree(tmp_path / "hub", times=True)
    ran = run("build", snapshot, "--base", tiny_gguf, "--via", "store")
    assert (ran.code, ran.stdout) == (0, "ada\n")
    assert "ada/ollama, because the adapter is in a cache of downloads" in ran.stderr
    assert {"adapter_model.gguf", "Modelfile.txt", "ollama-pack.lock"} <= tree(working / "ada/ollama").keys()
    assert run("convert", snapshot, "--base", tiny_gguf).stdout == "ada/ollama/adapter_model.gguf\n"
    assert tree(tmp_path / "hub", times=True) == before
    assert model_in(tmp_path / "models", "ada")


def test_the_working_directory_is_a_cache(snapshot, tiny_gguf, monkeypatch, tmp_path):
    """Typed inside the snapshot, the files go into the user's own directory for data, and that is told."""
    monkeypatch.chdir(snapshot)
    before = tree(tmp_path / "hub", times=True)
    ran = run("build", ".", "--base", tiny_gguf, "--via", "folder")
    own = tmp_path / ".local" / "share" / "ollama-pack" / "ada" / "ollama"
    assert (ran.code, ran.stdout) == (0, "ada\n")
    assert f"{own}, because the adapter is in a cache of downloads" in ran.stderr
    assert "Modelfile.txt" in tree(own)
    assert tree(tmp_path / "hub", times=True) == before
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert resolve_inputs(Request(directory=".")).output_dir.is_relative_to(tmp_path / "data")
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert resolve_inputs(Request(directory=".")).output_dir == own, "a relative path says nothing"


def test_a_user_without_a_home(snapshot, monkeypatch):
    """Neither HOME nor a password entry names one, as for many a service; README says where the files go."""
    monkeypatch.chdir(snapshot)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    found = resolve_inputs(Request(directory=".")).output_dir
    assert found == Path("/.local/share/ollama-pack/ada/ollama")
    told = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    assert "`~/.local/share/ollama-pack/NAME/ollama/`" in told


def no_home() -> Path:
    """Raise what pathlib raises where nobody knows the user."""
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize(
    ("path", "downloaded", "repository"),
    [
        (f"hub/models--alice--ada-lora/snapshots/{REVISION}", True, "ada-lora"),
        (f"hub/models--alice--ada-lora/snapshots/{REVISION}/checkpoint-3", True, ""),
        (".cache/modelscope/hub/models/alice/ada-lora", True, ""),
        (".cache/kagglehub/models/alice/ada-lora/1", True, ""),
        (".cache/huggingface/hub/x", True, ""),
        (".cache/mine/ada-lora", False, ""),
        ("ada-lora/snapshots/last", False, ""),
        ("cache-of-mine/hub/x", True, ""),
    ],
)
def test_caches(tmp_path, path, downloaded, repository):
    """The caches of the usual programs are known, and a snapshot has the name of its repository."""
    place = tmp_path / path
    assert is_downloaded(place, {"HF_HUB_CACHE": str(tmp_path / "cache-of-mine" / "hub")}) is downloaded
    assert repository_of(place) == repository


def test_names_of_directories(tmp_path, snapshot, working):
    """A tag stands between the name and the directory, so that two checkpoints do not share it."""
    found, reason = default_output_dir(snapshot, parse_name("ada:checkpoint-3"), os.environ)
    assert (found, bool(reason)) == (Path("ada", "checkpoint-3", "ollama"), True)
    (tmp_path / "mine").mkdir()
    beside = default_output_dir(tmp_path / "mine", parse_name("ada"), os.environ)
    assert beside == (tmp_path / "mine" / "ollama", "")


def test_a_sum_of_downloads(snapshot, tmp_path):
    """The sum of adapters in a cache goes into the working directory, too."""
    other = write_adapter(tmp_path / "style-lora")
    inputs = resolve_inputs(Request(directory=snapshot, others=(other,)))
    assert (inputs.output_dir, str(inputs.name)) == (Path("ada-style", "ollama"), "ada-style")


def test_register_takes_the_directory_of_the_adapter(make_adapter, tiny_gguf, tmp_path):
    """`register DIR` and `register DIR/ollama` mean the same files and the same name."""
    ada = make_adapter()
    (ada / "Modelfile.txt").write_text("SYSTEM You are Ada.\n", "utf-8")
    assert run("build", ada, "--base", tiny_gguf, "--via", "folder").code == 0
    for directory in (ada, ada / "ollama"):
        assert run("register", directory, "--via", "store").stdout == "ada\n"


def test_an_adapter_that_is_called_ollama(tmp_path, tiny_gguf):
    """Such a directory is an adapter like any other, with that name."""
    ran = run("build", write_adapter(tmp_path / "ollama"), "--base", tiny_gguf, "--via", "folder")
    assert (ran.code, ran.stdout) == (0, "ollama\n")
    assert (tmp_path / "ollama" / "ollama" / "Modelfile.txt").exists()


def test_an_option_holds_for_its_build(make_adapter, tiny_gguf):
    """What the options of one build set, the next one without them does not have; the author's file stays."""
    ada = make_adapter()
    author = f"FROM {tiny_gguf}\nSYSTEM You are Ada.\n"
    (ada / "Modelfile.txt").write_text(author, "utf-8")
    plain = ("build", ada, "--via", "store")
    assert run(*plain).code == 0
    first = tree(ada)
    options = ("--system", "Be brief.", "--parameter", "top_k=3", "--template", "chatml")
    assert run(*plain, *options).code == 0
    assert (ada / "Modelfile.txt").read_text("utf-8") == author
    assert "top_k 3" in (ada / "ollama" / "Modelfile.txt").read_text("utf-8")
    assert run(*plain).code == 0
    assert tree(ada) == first


def test_base_holds_for_its_build(tmp_path):
    """--base does not become FROM: without it, the base is again the one that the adapter names."""
    sizes = read_base_by_name("smollm2:135m")
    config = {"base_model_name_or_path": sizes.source_id}
    smol = write_adapter(tmp_path / "smol-lora", base=sizes, modules=("q_proj",), layers=(0,), config=config)
    run("build", smol, "--base", "smollm2:135m-instruct-q4_K_M", "--via", "folder")
    assert "FROM smollm2:135m-instruct-q4_K_M\n" in (smol / "ollama" / "Modelfile.txt").read_text("utf-8")
    assert run("build", smol, "--via", "folder").code == 0
    assert "FROM smollm2:135m\n" in (smol / "ollama" / "Modelfile.txt").read_text("utf-8")


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")
def test_a_clone_stays_clean(tmp_path):
    """The commands of the README leave nothing in a clone that git would show."""
    clone = tmp_path / "clone"
    for name in ("examples/ada-lovelace-lora", "tests/goldens/run"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("ollama"), symlinks=True)
    for name in (".gitignore", "README.md"):
        shutil.copy(ROOT / name, clone / name)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org"]
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "clone"]):
        subprocess.run([*git, *words], cwd=clone, check=True, capture_output=True)
    for words in readme_commands():
        ran = spawn(*words, cwd=clone, input="")
        assert ran.code == 0, (words, ran.stderr)
    seen = subprocess.run(
        [*git, "status", "--porcelain"], cwd=clone, check=True, capture_output=True, text=True
    )
    assert seen.stdout == ""


def readme_commands():
    """Return the commands of the README that build or convert what a clone has, with a delivery to files."""
    text = (ROOT / "README.md").read_text("utf-8") + (ROOT / "examples/README.md").read_text("utf-8")
    found = [line.split() for line in re.findall(r"^\$ ollama-pack (.*?)(?:\s+#.*)?$", text, re.M)]
    writing = [
        [word.replace("ada-lovelace-lora/", "examples/ada-lovelace-lora/") for word in words]
        for words in found
        if words[0] in ("build", "convert", "inspect", "checkpoints")
        and any((ROOT / word).is_dir() or word == "ada-lovelace-lora/" for word in words)
    ]
    assert len(writing) >= 3
    folder = [[*words, "--via", "folder"] if words[0] == "build" else words for words in writing]
    return [*folder, ["convert", "examples/ada-lovelace-lora"]]
