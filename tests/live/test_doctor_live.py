"""What `doctor` learns from a real daemon, and what it says of one that cannot run a model."""

import os
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import real_daemon
from daemon_answers import chat
from scratch_store import BASE_TAG, add_base
from tiny_model import base_noun

from ollama_pack.deliver import store
from ollama_pack.doctor.examine import examine
from ollama_pack.doctor.findings import MINOR, PROBLEM
from ollama_pack.doctor.store_scan import scan_store
from ollama_pack.ollama.api_errors import EmptyManifestError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.erase import erase_model
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store_layout import manifest_path

pytestmark = pytest.mark.live


def test_a_real_daemon_runs_models(live):
    """The smallest model is loaded for a moment, and nothing stays loaded."""
    live.say(BASE_TAG)  # skips where the daemon has no llama-server
    for name in live.daemon.loaded():
        live.daemon.unload(name)
    seen = examine(OllamaLocations(live.address, ()))
    assert seen.runner.works, seen.runner.why
    assert "loaded and unloaded again" in seen.runner.why
    assert not any(found.about.startswith("Ollama") for found in seen.findings)


def test_a_real_daemon_without_llama_server(tmp_path, base_file, monkeypatch):
    """Its own words become a problem; it answers, lists and shows as the others do."""
    program = tmp_path / "bin" / "ollama"
    program.parent.mkdir()
    try:
        os.link(Path(real_daemon.find_ollama()).resolve(), program)
    except OSError:
        pytest.skip("NOT TESTED: the program cannot be linked to another place")
    monkeypatch.setenv("OLLAMA_PACK_TEST_OLLAMA", str(program))
    with real_daemon.running(tmp_path / "home") as real:
        add_base(real.store, base_file)
        seen = examine(OllamaLocations(real.address, ()))
    assert seen.runner.works is False
    (found,) = (each for each in seen.findings if each.about.startswith("Ollama"))
    assert (found.level, "llama-server" in found.what) == (PROBLEM, True)
    assert "reinstall Ollama" in found.fix


def test_a_real_daemon_is_helped_to_delete_an_empty_manifest(live):
    """It answers EOF; a copy makes the manifest whole, and then it goes."""
    path = manifest_path(live.store, parse_name("cut-off"))
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(EmptyManifestError):
        live.daemon.delete("cut-off")
    erase_model(live.daemon, "cut-off")
    assert not path.exists()


def test_a_runner_that_is_shared(live, package, base_file):
    """A model without a TEMPLATE that follows one with a TEMPLATE is named; the fix restores its answer."""
    package = replace(package, base=base_noun(gguf_file=base_file))
    plain = replace(package, name=parse_name("plain"))
    own = replace(package, name=parse_name("own"), template="{{ .Prompt }}")
    for each in (plain, own):
        store.write_to_store(each, live.store)
    findings = [found for found in scan_store(live.store, "")[1] if "shares a runner" in found.what]
    (found,) = (each for each in findings if each.about == "plain")
    fix = re.fullmatch(r"ollama stop (\S+)  before you run plain", found.fix)
    assert found.level == MINOR
    assert fix is not None
    other = fix[1]  # another test may have left a model with a TEMPLATE on the same files

    if "OLLAMA_PACK_TEST_BASE" not in os.environ:
        pytest.skip("NOT TESTED by a chat: the tiny base answers with random bytes")

    ask = partial(chat, live.address, question="ada", tokens=12)
    with Daemon(live.address) as daemon:
        for name in daemon.loaded():
            daemon.unload(name)
        before = ask("plain")
        daemon.unload("plain")
        ask(other)
        daemon.unload(other)  # as ``ollama stop`` does
        assert ask("plain") == before
        daemon.unload("plain")
