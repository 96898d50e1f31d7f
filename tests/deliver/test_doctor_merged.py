"""What `doctor` sees of models with the adapter merged into their weights."""

from dataclasses import replace

import pytest
from scratch_store import BASE_TAG
from tiny_model import base_noun, make_base

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.deliver import store
from ollama_pack.doctor.findings import PROBLEM
from ollama_pack.doctor.store_scan import scan_store
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store_layout import blob_path


@pytest.fixture
def merged(package, tmp_path):
    """Return a package with the adapter merged into its weights."""
    file = make_base(tmp_path / "merged.gguf", seed=3, merged=True)
    return replace(package, adapter=None, base=read_base_gguf(file), merged_from=base_noun(tag=BASE_TAG))


def test_a_merged_model(models, merged):
    """It is counted as one; what keeps bases from running with an adapter does not touch it."""
    store.write_to_store(merged, models)
    for version in ("0.33.0", "0.40.0"):
        seen, findings = scan_store(models, version)
        assert (seen.models, seen.adapted, seen.merged, findings) == (2, (), (str(merged.name),), [])


@pytest.mark.parametrize("how", ["gone", "cut off"])
def test_a_merged_model_that_lost_its_weights(models, merged, how):
    """It is a problem, with both ways to have such a model again: nothing tells what it was."""
    store.write_to_store(merged, models)
    blob = blob_path(models, merged.base.blob_digest())
    if how == "gone":
        blob.unlink()
    else:
        blob.write_bytes(blob.read_bytes()[:-100])
    (found,) = scan_store(models, "0.33.0")[1]
    assert (found.level, found.about) == (PROBLEM, str(merged.name))
    assert "its blob" in found.what
    assert found.fix.endswith(f"ollama-pack build DIR {merged.name} --merge")
    assert found.fix.startswith(f"rm {blob}; " if how == "cut off" else f"ollama pull {merged.name}")
    blob.unlink(missing_ok=True)
    store.write_to_store(merged, models)
    assert scan_store(models, "0.33.0")[1] == []


def test_merged_models_that_share_a_runner(models, merged):
    """Two names of one merged file, one with a TEMPLATE, share a runner as those with an adapter do."""
    store.write_to_store(merged, models)
    other = replace(merged, name=parse_name("other"), template="{{ .Prompt }}!")
    store.write_to_store(other, models)
    (found,) = scan_store(models, "0.33.0")[1]
    assert (found.about, "shares a runner with other" in found.what) == (str(merged.name), True)
