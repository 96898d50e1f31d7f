"""An adapter on the Hub: fetched by huggingface_hub from a Hub on this machine, without pickles."""

import os
import subprocess
import sys
from pathlib import Path

import fake_web
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from played_hub import COMMIT, REPOSITORY, publish

from ollama_pack.cli import main
from ollama_pack.errors import DestinationError, InputError, UsageError
from ollama_pack.hub.client import HubReference, parse_hub_reference
from ollama_pack.hub.fetch import fetch_adapter

EXAMPLE = Path(__file__).parents[1] / "examples" / "ada-lovelace-lora"
PICKLES = ("adapter_model.bin", "optimizer.pt", "training_args.bin", "rng_state.pth")
TOKEN = "hf_planted"

pytest.importorskip("huggingface_hub", reason="the extra `hub` is not installed")


def example() -> dict[str, bytes]:
    """Return the files of the example, with what a training run leaves beside them."""
    files = {path.name: path.read_bytes() for path in EXAMPLE.iterdir() if path.is_file()}
    below = {
        f"checkpoint-3/{name}": files[name] for name in ("adapter_config.json", "adapter_model.safetensors")
    }
    pickles = dict.fromkeys((*PICKLES, "checkpoint-3/optimizer.pt"), b"\x80\x04.")
    return {**files, **below, **pickles}


@pytest.fixture
def hub(tmp_path):
    """Return a Hub with the example, and the environment of a process that uses it."""
    with fake_web.running() as web:
        publish(web, example())
        cache = str(tmp_path / "cache")
        yield web, {"HF_ENDPOINT": web.address, "HF_HUB_CACHE": cache, "HF_TOKEN": f" {TOKEN}\n"}


def test_an_adapter_is_fetched_and_nothing_else(hub):
    """What an adapter consists of is fetched, with the token and for the commit; a pickle is not."""
    web, environment = hub
    directory = fetch_adapter(f"hf://{REPOSITORY}", environment)
    names = {path.name for path in directory.iterdir()}
    assert names == {path.name for path in EXAMPLE.iterdir() if path.is_file()}
    assert (directory / "adapter_model.safetensors").read_bytes() == (
        EXAMPLE / "adapter_model.safetensors"
    ).read_bytes()
    assert directory.name == COMMIT
    asked = [path for path, *_ in web.asked]
    assert not [path for path in asked if path.endswith((".bin", ".pt", ".pth"))]
    assert {token for path, _, token in web.asked if REPOSITORY in path} == {f"Bearer {TOKEN}"}


def test_what_is_here_is_not_fetched_again(hub):
    """A second call reads the cache of huggingface_hub, also when the Hub is gone."""
    web, environment = hub
    first = fetch_adapter(f"hf://{REPOSITORY}@v2", environment)
    before = web.sent
    assert fetch_adapter(f"hf://{REPOSITORY}@v2", environment) == first
    assert web.sent - before < 20_000
    gone = {**environment, "HF_ENDPOINT": "http://127.0.0.1:9"}
    assert fetch_adapter(f"hf://{REPOSITORY}@v2", gone) == first


def test_a_checkpoint_is_a_folder(hub):
    """The files of the run come with those of a checkpoint, which borrows from it."""
    directory = fetch_adapter(f"hf://{REPOSITORY}@main/checkpoint-3", hub[1])
    assert directory.name == "checkpoint-3"
    assert (directory / "adapter_model.safetensors").is_file()
    assert not (directory / "optimizer.pt").exists()
    assert (directory.parent / "tokenizer.json").is_file()


def _missing(web, code: str, status: int = 404) -> None:
    """Let the Hub say why it does not show a repository."""
    for path in [path for path in web.files if path.startswith("/api/")]:
        web.answers[path] = (status, {"X-Error-Code": code, "X-Error-Message": code})


@pytest.mark.parametrize(
    ("code", "status", "error", "words"),
    [
        ("RepoNotFound", 404, UsageError, "no such repository"),
        ("RevisionNotFound", 404, UsageError, "no revision v2"),
        ("GatedRepo", 403, UsageError, "decides who may read it"),
        ("", 500, DestinationError, r"answers with an error \(500\)"),
        ("", 429, DestinationError, r"error \(429\): too many requests from here; .* HF_TOKEN\."),
        ("", 401, UsageError, r"does not know this token \(401\)"),
        ("", 403, UsageError, r"this token may not read it \(403\)"),
        ("", 404, UsageError, r"no such repository or revision \(404\)"),
    ],
)
def test_what_the_hub_does_not_show_is_told(hub, code, status, error, words):
    """The reason is that of the Hub, and the token is not repeated."""
    web, environment = hub
    _missing(web, code, status)
    with pytest.raises(error, match=words) as caught:
        fetch_adapter(f"hf://{REPOSITORY}@v2", environment)
    assert TOKEN not in f"{caught.value}{caught.value.hint}{caught.value.__cause__}"


def test_a_hub_that_is_not_there_is_told(hub):
    """Without an answer and without a copy there is nothing to build."""
    with pytest.raises(DestinationError, match=r"cannot be reached|does not send"):
        fetch_adapter(f"hf://{REPOSITORY}", {**hub[1], "HF_ENDPOINT": "http://127.0.0.1:9"})


def test_a_private_repository(hub):
    """Without a token there is no such repository; with the token that the hint names, it is fetched."""
    web, environment = hub
    web.token = TOKEN
    with pytest.raises(UsageError, match="no such repository") as caught:
        fetch_adapter(f"hf://{REPOSITORY}", {**environment, "HF_TOKEN": "hf_other"})
    assert "set HF_TOKEN" in caught.value.hint
    assert fetch_adapter(f"hf://{REPOSITORY}", {**environment, "HF_TOKEN": TOKEN}).is_dir()


def test_a_repository_of_pickles_is_told(hub, tmp_path):
    """Weights that are only a pickle are not fetched; the first way of the hint brings all that is there."""
    web, environment = hub
    publish(web, {"adapter_config.json": b"{}", "adapter_model.bin": b"\x80\x04."})
    with pytest.raises(InputError, match="A pickle is not fetched") as caught:
        fetch_adapter(f"hf://{REPOSITORY}", environment)
    command = caught.value.hint.partition("  ")[0].replace(" DIR", f" {tmp_path / 'all'}").split()
    program = Path(sys.executable).with_name(command[0])
    subprocess.run(
        [program, *command[1:]], check=True, env={**os.environ, **environment}, capture_output=True
    )
    assert (tmp_path / "all" / "adapter_model.bin").is_file()


def test_a_folder_that_there_is_not(hub):
    """A folder without a file of an adapter is told; the name without it is that of the adapter."""
    with pytest.raises(UsageError, match="no files of an adapter in the folder none"):
        fetch_adapter(f"hf://{REPOSITORY}/none", hub[1])
    assert fetch_adapter(f"hf://{REPOSITORY}", hub[1]).is_dir()


def test_without_asking_the_hub(hub, tmp_path, monkeypatch):
    """With HF_HUB_OFFLINE nothing is asked: what is in the cache is used, and else the variable is named."""
    web, environment = hub
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DestinationError, match="HF_HUB_OFFLINE forbids") as caught:
        fetch_adapter(f"hf://{REPOSITORY}", environment)
    assert (caught.value.hint, web.asked) == ("unset HF_HUB_OFFLINE", [])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    directory = fetch_adapter(f"hf://{REPOSITORY}", environment)
    asked = len(web.asked)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert fetch_adapter(f"hf://{REPOSITORY}", environment) == directory
    (directory / "adapter_model.safetensors").unlink()
    with pytest.raises(DestinationError, match="not in the cache"):
        fetch_adapter(f"hf://{REPOSITORY}", environment)
    assert len(web.asked) == asked


def test_an_adapter_in_a_folder(hub):
    """A repository with its adapter in a folder says how the folder is named, and that works."""
    web, environment = hub
    publish(web, {f"final/{path.name}": path.read_bytes() for path in EXAMPLE.iterdir() if path.is_file()})
    with pytest.raises(InputError) as caught:
        fetch_adapter(f"hf://{REPOSITORY}", environment)
    name = caught.value.hint.rpartition(" ")[2].replace("FOLDER", "final")
    assert (fetch_adapter(name, environment) / "adapter_model.safetensors").is_file()


def test_the_extra_is_named(monkeypatch):
    """Without huggingface_hub the message says what to install."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match="not installed") as caught:
        fetch_adapter(f"hf://{REPOSITORY}", os.environ)
    assert caught.value.hint == "pip install 'ollama-pack[hub]'"


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("hf://ada/x", HubReference("ada/x")),
        ("hf://ada/x/", HubReference("ada/x")),
        ("hf://ada/x-1.5@v1.0", HubReference("ada/x-1.5", "v1.0")),
        ("hf://ada/x@refs%2Fpr%2F1/a/b", HubReference("ada/x", "refs/pr/1", "a/b")),
        ("hf://ada/x/checkpoint-3", HubReference("ada/x", "", "checkpoint-3")),
    ],
)
def test_names(text, reference):
    """Repository, revision and folder are told apart."""
    assert parse_hub_reference(text) == reference


@given(st.text(st.sampled_from("ab./@%\\:é\n-"), max_size=12))
def test_no_name_leaves_its_repository(tail):
    """Whatever follows the scheme, a folder that is named lies in the repository."""
    try:
        reference = parse_hub_reference(f"hf://ada/{tail}")
    except UsageError:
        return
    assert not {".", "..", ""} & set(reference.folder.split("/")) or not reference.folder
    assert reference.repository.count("/") == 1


def test_commands_take_it(hub, tmp_path, monkeypatch, no_daemon):
    """``build hf://…`` makes the model that is named like the repository, in a folder of the user's own."""
    for key, value in hub[1].items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(tmp_path)
    words = ["build", f"hf://{REPOSITORY}", "--base", "smollm2:135m", "--via", "folder"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "lovelace" / "ollama" / "adapter_model.gguf").is_file()
    assert TOKEN not in result.output
    result = CliRunner().invoke(main, ["inspect", f"hf://{REPOSITORY}/checkpoint-3"])
    assert result.exit_code == 0, result.output
    for words in (
        ["try", f"hf://{REPOSITORY}", "Hi"],
        ["test", f"hf://{REPOSITORY}", "--cases", "none.yaml"],
    ):
        result = CliRunner().invoke(main, [*words, "--base", str(tmp_path / "none.gguf")])
        assert "none." in result.output, "the adapter was found, and something else was not"
    result = CliRunner().invoke(main, ["build", "hf://ada"])
    assert (result.exit_code, "hf://OWNER/NAME" in result.output) == (2, True)
