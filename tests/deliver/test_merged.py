"""A package with the adapter merged into its base, by every delivery."""

from dataclasses import replace

from scratch_store import BASE_TAG
from test_contract import kinds_of, manifest_of
from tiny_model import base_noun

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.disk.files import sha256_of_file


def test_a_merged_model_is_one_file(way, package, gguf_base):
    """The model layer is the merged file, there is no adapter, and the prompt is that of the package."""
    before = manifest_of(way.store, BASE_TAG)
    merged = replace(
        package,
        adapter=None,
        base=read_base_gguf(gguf_base),
        merged_from=base_noun(tag=BASE_TAG),
        template="{{ .Prompt }}",
    )
    receipt = way.put(merged)
    manifest = manifest_of(way.store, package.name.model)
    assert "adapter" not in kinds_of(manifest)
    assert "template" in kinds_of(manifest)
    (layer,) = [each for each in manifest["layers"] if each["mediaType"].endswith(".model")]
    if receipt.via != "create":  # a daemon writes the header of a file anew
        assert layer["digest"] == sha256_of_file(gguf_base)
    assert way.plan(merged).replaces
    assert manifest_of(way.store, BASE_TAG) == before
