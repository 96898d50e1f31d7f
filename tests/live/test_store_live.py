"""A model put into the store of a running daemon: seen at once, and run like one it created."""

import hashlib
from dataclasses import replace

import pytest
import real_daemon
from scratch_store import BASE_TAG, kinds_of, manifest_of
from tiny_model import adapter_for, base_noun, make_base

from ollama_pack.deliver import choose, create, store
from ollama_pack.deliver.base_check import digest_in
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store_layout import manifest_path

CHAT = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content']"
    " + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

pytestmark = pytest.mark.live


def test_the_daemon_lists_it_at_once(live, package):
    """/api/tags has the model, with the digest of the receipt."""
    receipt = store.write_to_store(package, live.store)
    listed = {model.name: model.digest for model in live.daemon.models()}
    assert listed[package.name.display] == receipt.digest


def test_the_daemon_shows_the_adapter_and_what_was_inherited(live, package):
    """/api/show names the adapter's blob, the base's template and the merged parameters."""
    store.write_to_store(replace(package, system="Be brief.", parameters={"top_k": 3}), live.store)
    shown = live.ask("/api/show", model=str(package.name))
    assert f"ADAPTER {live.store}/blobs/{package.adapter.digest.replace(':', '-')}" in shown["modelfile"]
    assert shown["system"] == "Be brief."
    assert "{{ .Prompt }}" in shown["template"]
    assert dict(line.split() for line in shown["parameters"].splitlines())["top_k"] == "3"
    assert shown["details"]["family"] == "llama"


def test_both_ways_answer_alike_and_unlike_the_base(live, package):
    """The adapter works from the store, without a restart, exactly as from /api/create."""
    written = store.write_to_store(package, live.store)
    created = create.create_model(replace(package, name=parse_name(f"{package.name}-created")), live.daemon)
    answers = [live.say(written.name), live.say(created.name), live.say(BASE_TAG)]
    assert answers[0] == answers[1]
    assert answers[0] != answers[2]


def test_replacing_a_loaded_model_is_felt(live, package, adapter):
    """A model that is in memory answers anew after it was replaced."""
    places = OllamaLocations(live.address, (live.store,))
    store.write_to_store(package, live.store)
    before = live.say(str(package.name))
    silent = replace(package, template="{{ .Prompt }} b")
    receipt = choose.deliver(silent, places, via="store")
    assert not any("does not see" in line for line in receipt.lines)
    assert live.say(str(package.name)) != before


def test_a_gguf_base_runs_from_the_store(live, package, base_file):
    """A base that is a file, linked or copied into the store, answers as one sent to /api/create."""
    file_base = replace(package, base=base_noun(gguf_file=base_file), template="{{ .Prompt }} b")
    written = store.write_to_store(file_base, live.store)
    created = live.create(replace(file_base, name=parse_name(f"{package.name}-created")))
    assert live.say(written.name) == live.say(created.name)


def test_it_survives_a_start_of_the_daemon(package, base_file, tmp_path):
    """What was put before the daemon starts is not tidied away, however old the base file is."""
    file_base = replace(package, base=base_noun(gguf_file=base_file))
    store.write_to_store(file_base, tmp_path / "models")
    with real_daemon.running(tmp_path) as real:
        assert manifest_path(real.store, package.name).is_file()
        manifest = manifest_of(real.store, package.name.model)
        for layer in (*manifest["layers"], manifest["config"]):
            path = real.store / "blobs" / layer["digest"].replace(":", "-")
            assert hashlib.sha256(path.read_bytes()).hexdigest() == layer["digest"][7:]


def test_the_daemon_can_build_on_it_and_remove_it(live, package):
    """A model from the store is a model like any other: FROM it works, and rm takes its blobs along."""
    store.write_to_store(replace(package, system="Only mine."), live.store)
    system = manifest_of(live.store, package.name.model)["layers"][-2]
    live.daemon.create(f"{package.name}-child", {"from": str(package.name), "system": "Child."})
    live.daemon.delete(f"{package.name}-child")
    live.daemon.delete(str(package.name))
    assert not manifest_path(live.store, package.name).exists()
    assert not (live.store / "blobs" / system["digest"].replace(":", "-")).exists()


def test_the_first_model_of_an_empty_daemon_keeps_the_files_prompt(package, tmp_path):
    """The daemon pulls it, so that it guesses no template, and the file is in its store once."""
    file = make_base(tmp_path / "chat.gguf", chat=CHAT)
    file_base = replace(
        package, base=base_noun(gguf_file=file), adapter=adapter_for(file, tmp_path / "l.gguf")
    )
    with real_daemon.running(tmp_path) as real, Daemon(real.address) as daemon:
        receipt = choose.deliver(file_base, OllamaLocations(real.address, ()))
        assert (receipt.via, receipt.served) == ("pull", True)
        manifest = manifest_of(real.store, package.name.model)
        assert kinds_of(manifest) == ["model", "adapter"]
        named = {layer["digest"].replace(":", "-") for layer in (*manifest["layers"], manifest["config"])}
        large = {path.name for path in real.store.glob("blobs/*") if path.stat().st_size > 10_000}
        assert large <= named
        assert digest_in(daemon, package.name) == receipt.digest
