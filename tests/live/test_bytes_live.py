"""The manifest and the configuration written here, against those the daemon writes for the same request."""

from dataclasses import replace

import pytest
from scratch_store import BASE_TAG, blob, kinds_of, manifest_of
from tiny_model import base_noun, details_of

from ollama_pack.deliver import create, store
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store_layout import manifest_path

pytestmark = pytest.mark.live

PACKAGES = {
    "nothing of its own": {},
    "a system prompt": {"system": "You are Ada <Lovelace> & brief. é\u2028"},
    "a template": {"template": "{{ .System }} {{ .Prompt }}"},
    "parameters": {
        "parameters": {"temperature": 0.7, "num_ctx": 4096, "stop": ["<|im_end|>", "&\u2028é"], "min_p": 1e-7}
    },
    "licences": {"licenses": ("One.", "Two.")},
    "messages": {
        "messages": ({"role": "User", "content": "hi <b>"}, {"content": "hello", "role": "assistant"})
    },
    "renderer, parser and requires": {"renderer": "qwen3-coder", "parser": "qwen3", "requires": "0.14.0"},
    "all of it": {
        "system": "S",
        "template": "{{ .Prompt }}",
        "parameters": {"top_k": 1},
        "licenses": ("L",),
        "messages": ({"role": "user", "content": "hi"},),
        "parser": "passthrough",
    },
}


@pytest.mark.parametrize("fields", PACKAGES.values(), ids=PACKAGES.keys())
def test_manifest_and_configuration_are_the_daemons(live, package, fields):
    """For a base by name, every byte of both is what Ollama itself writes."""
    mine = replace(package, **fields)
    theirs = replace(mine, name=parse_name(f"{package.name}-created"))
    written = store.write_to_store(mine, live.store)
    created = create.create_model(theirs, live.daemon)
    assert _fields(live, mine) == _fields(live, theirs)
    assert manifest_path(live.store, mine.name).read_bytes() == (
        manifest_path(live.store, theirs.name).read_bytes()
    )
    assert written.digest == created.digest


def test_a_model_on_an_adapted_model_is_the_daemons(live, package):
    """Two adapters, and two generations of inherited layers, agree too."""
    store.write_to_store(replace(package, system="One."), live.store)
    stacked = replace(package, base=base_noun(tag=str(package.name)), name=parse_name(f"{package.name}-s"))
    created = replace(stacked, name=parse_name(f"{package.name}-c"))
    assert (
        store.write_to_store(stacked, live.store).digest == create.create_model(created, live.daemon).digest
    )


def test_the_daemon_writes_the_base_file_anew(live, package, base_file):
    """From a GGUF file, all but the base's own bytes and a guessed template is as the daemon does it."""
    base = replace(base_noun(gguf_file=base_file), details=details_of(base_file))
    mine = replace(package, base=base, system="S")
    theirs = replace(mine, name=parse_name(f"{package.name}-created"))
    store.write_to_store(mine, live.store)
    live.create(theirs)
    ours, daemons = (manifest_of(live.store, p.name.model) for p in (mine, theirs))
    assert [kind for kind in kinds_of(daemons) if kind in kinds_of(ours)] == kinds_of(ours)
    assert blob(live.store, ours["config"]["digest"]) == blob(live.store, daemons["config"]["digest"])
    adapters = [
        layer for m in (ours, daemons) for layer in m["layers"] if layer["mediaType"].endswith("adapter")
    ]
    assert adapters[0] == adapters[1]


def _fields(live, package):
    manifest = manifest_of(live.store, package.name.model)
    return manifest | {"config": blob(live.store, manifest["config"]["digest"])}


def test_the_base_is_not_touched(live):
    """Whatever was built on it, the base is the one that was pulled."""
    assert kinds_of(manifest_of(live.store, BASE_TAG)) == ["model", "template", "license", "params"]
