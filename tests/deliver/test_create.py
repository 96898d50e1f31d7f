"""Through a daemon: what is asked of it, and what its answers mean."""

import json
from dataclasses import replace

import pytest
from scratch_store import BASE_TAG, kinds_of, manifest_of
from tiny_model import base_noun

from ollama_pack.base.expected import ExpectedBase
from ollama_pack.deliver import create
from ollama_pack.deliver.base_check import digest_in
from ollama_pack.errors import DestinationError, ProofError
from ollama_pack.ollama.api_errors import AdapterRefusedError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store_layout import manifest_path


@pytest.fixture
def daemon(fake):
    with Daemon(fake.address) as daemon:
        yield daemon


def test_empty_fields_are_left_out(fake, daemon, package):
    """What is inherited is not named at all: an empty value means something else to Ollama."""
    create.create_model(package, daemon)
    (body,) = fake.asked("POST", "/api/create")
    assert {key: value for key, value in body.items() if key != "stream"} == {
        "model": package.name.display,
        "from": f"{BASE_TAG}:latest",
        "adapters": {"lora.gguf": package.adapter.digest},
    }


def test_every_field_reaches_the_daemon(fake, daemon, package):
    """All that a package sets is in the request, also what the official client has no argument for."""
    fields = {
        "template": "{{ .Prompt }}",
        "system": "Be brief.",
        "parameters": {"top_k": 3},
        "messages": ({"role": "user", "content": "hi"},),
        "licenses": ("Free.",),
        "renderer": "qwen3-coder",
        "parser": "qwen3",
        "requires": "0.5.0",
    }
    create.create_model(replace(package, **fields), daemon)
    (body,) = fake.asked("POST", "/api/create")
    expected = {"license" if key == "licenses" else key: value for key, value in fields.items()}
    assert {key: body[key] for key in expected} == json.loads(json.dumps(expected))


def test_a_blob_that_is_there_is_not_sent(fake, daemon, package):
    """HEAD is asked first, and answered with 200 spares the upload."""
    create.create_model(package, daemon)
    create.create_model(package, daemon)
    assert len(fake.asked("POST", "/api/blobs/")) == 1
    assert len(fake.asked("HEAD", "/api/blobs/")) == 2


def test_a_missing_base_is_pulled_first(fake, daemon, package):
    """A tag the daemon lacks is fetched, with progress, before anything is built on it."""
    fake.pullable["vicuna:7b"] = fake.manifest(BASE_TAG)
    told = []
    base = base_noun(tag="vicuna:7b")
    receipt = create.create_model(replace(package, base=base), daemon, lambda *step: told.append(step))
    assert "pulled vicuna:7b" in receipt.lines
    assert ("pulling vicuna:7b: pulling 0123456789ab", 5, 10) in told


def test_a_pulled_base_is_the_one_of_the_last_build(fake, daemon, package):
    """A strict build stops before anything is created if the tag has another manifest by now."""
    fake.pullable["vicuna:7b"] = fake.manifest(BASE_TAG)
    base = base_noun(tag="vicuna:7b")
    moved = ExpectedBase(strict=True, manifest=f"sha256:{'0' * 64}")
    with pytest.raises(ProofError, match="moved: vicuna:7b has changed since the last build"):
        create.create_model(replace(package, base=base, trained=moved), daemon)
    assert not fake.asked("POST", "/api/create")
    same = replace(moved, manifest=f"sha256:{digest_in(daemon, parse_name('vicuna:7b'))}")
    daemon.delete("vicuna:7b")
    receipt = create.create_model(replace(package, base=base, trained=same), daemon)
    assert "pulled vicuna:7b" in receipt.lines


def test_a_gguf_base_is_sent_too(fake, daemon, package, gguf_base):
    """A base that is a file goes as ``files``, and without ``from``, which would win."""
    create.create_model(replace(package, base=base_noun(gguf_file=gguf_base)), daemon)
    (body,) = fake.asked("POST", "/api/create")
    assert "from" not in body
    assert list(body["files"]) == ["tiny.gguf"]
    assert kinds_of(manifest_of(fake.store, package.name.model)) == ["model", "adapter"]


def test_the_old_runner_is_unloaded_before_and_after(fake, daemon, package):
    """A runner keeps the template mode it was started with, so it is ended on both sides."""
    create.create_model(package, daemon)
    order = [path for method, path, _ in fake.requests if path in ("/api/generate", "/api/create")]
    assert order == ["/api/generate", "/api/create", "/api/generate"]
    assert all(body["keep_alive"] == 0 for body in fake.asked("POST", "/api/generate"))


def test_a_refusal_of_adapters_names_the_other_way(fake, daemon, package):
    """Ollama 0.34.1 and later say no; the error says what still works."""
    fake.becomes("0.33.0", creates=False)
    with pytest.raises(AdapterRefusedError) as caught:
        create.create_model(package, daemon)
    assert caught.value.hint == "--via pull"
    assert caught.value.exit_code == 6


def test_a_large_base_is_not_sent_in_vain(fake, daemon, package, gguf_base):
    """A daemon that surely refuses adapters is spared the base."""
    fake.becomes("0.34.2")
    with pytest.raises(AdapterRefusedError):
        create.create_model(replace(package, base=base_noun(gguf_file=gguf_base)), daemon)
    assert not fake.asked("POST", "/api/blobs/")


@pytest.mark.parametrize("version", ["0.34.0", "0.0.0", "unknown"])
def test_a_daemon_that_may_take_adapters_is_asked(fake, daemon, package, gguf_base, version):
    """The last release with adapters, and one built from source, are tried."""
    fake.becomes(version)
    create.create_model(replace(package, base=base_noun(gguf_file=gguf_base)), daemon)
    assert manifest_path(fake.store, package.name).exists()


@pytest.mark.parametrize("extra", [{}, {"renderer": "qwen3-coder"}])
@pytest.mark.parametrize("mood", ["fails", "breaks"])
def test_only_success_is_success(fake, daemon, package, mood, extra):
    """An error in the last line of a stream of status 200, and a stream that ends early, are errors."""
    fake.mood = mood
    says = {"fails": "unexpected EOF", "breaks": "last status was 'writing manifest'"}
    with pytest.raises(DestinationError, match=says[mood]):
        create.create_model(replace(package, **extra), daemon)
    assert not manifest_path(fake.store, package.name).exists()


def test_a_failed_pull_is_told(fake, daemon, package):
    """What the daemon says when it cannot pull reaches the user."""
    with pytest.raises(DestinationError) as caught:
        create.create_model(replace(package, base=base_noun(tag="nowhere")), daemon)
    assert caught.value.what == "Ollama does not have nowhere and could not pull it (file does not exist)."
    assert caught.value.hint.startswith("ollama pull nowhere")


def test_a_changed_adapter_is_told(fake, daemon, package, tmp_path):
    """A file that is not what its digest says is refused by the daemon, in its words."""
    path = tmp_path / "lora.gguf"
    path.write_bytes(package.adapter.path.read_bytes()[:-1] + b"x")
    with pytest.raises(DestinationError, match="digest mismatch"):
        create.create_model(replace(package, adapter=package.adapter._replace(path=path)), daemon)


def test_no_daemon_is_told():
    """A closed port is one sentence and a way out."""
    with Daemon("http://127.0.0.1:9") as daemon, pytest.raises(DestinationError) as caught:
        daemon.version()
    assert caught.value.what == "No Ollama daemon answers."
    assert "OLLAMA_HOST" in caught.value.hint


def test_a_stranger_is_not_taken_for_a_daemon(fake):
    """A web server that is no Ollama is an error, not a crash."""
    with Daemon(f"{fake.address}/elsewhere") as daemon, pytest.raises(DestinationError):
        daemon.version()


def test_the_digest_is_the_daemons(fake, daemon, package):
    """The receipt has the digest the daemon lists; a model it lacks has none."""
    receipt = create.create_model(package, daemon)
    assert receipt.digest == digest_in(daemon, package.name) != ""
    assert digest_in(daemon, parse_name("nowhere")) == ""


def test_a_plan_for_a_missing_base_tells_of_the_pull(fake, daemon, package):
    """What will be pulled is named, though nobody knows its size."""
    planned = create.plan_create(replace(package, base=base_noun(tag="vicuna:7b")), daemon)
    assert planned.items[-1] == ("ollama pull vicuna:7b, of unknown size", 0)
