"""Whatever is written in few bits is told, with the clean way to a small file; and nothing else is."""

import gguf
import pytest
from ggml_builds import offer_ggml
from recipes import TINY, resized, write_adapter, write_model
from terminal import run
from test_kept import quantise

from ollama_pack.pipeline.request import QUANTISED_TYPES

WIDE = resized(TINY, hidden=256, feed_forward=256, heads=4, kv_heads=4, head_dim=64)
MANY_BITS = ("F32", "F16", "BF16", "Q8_0")
CHOICES = ["auto", "q8_0", "f16", "bf16", "f32", "q6_k", "q5_k", "same", "size"]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("kind", ["F32", "Q4_0"])
def test_what_is_told_of_few_bits(tmp_path, monkeypatch, kind, choice):
    """The file itself says whether a weight that changed is in few bits: then, and only then, it is told."""
    if choice in ("q6_k", "q5_k"):
        offer_ggml(monkeypatch)
    base = write_model(tmp_path / "f32.gguf", WIDE)
    if kind != "F32":
        quantise(base, tmp_path / "base.gguf")
        base = tmp_path / "base.gguf"
    adapter = write_adapter(tmp_path / "ada", base=WIDE)
    words = ("merge", adapter, "--base", base, "--out", tmp_path / "ada.gguf", "--min-kept", "0")
    option = ("--merge-type", choice)
    if choice == "size":
        ran = run(*words, "--merge-size", "1kB")
        option = tuple(next(line for line in ran.stderr.splitlines() if "--merge-size" in line).split()[-2:])
    ran = run(*words, *option, "--json")
    assert ran.code == 0, ran.stderr
    changed = {each["tensor"] for each in ran.document["merged"]["weights"]}
    written = {each.name: each.tensor_type.name for each in gguf.GGUFReader(tmp_path / "ada.gguf").tensors}
    few = any(written[name] not in MANY_BITS for name in changed)
    told = " ".join(ran.stderr.split())
    clean = "the clean way to a small file is --base with the F16 file of the model and --merge-type q4_k_m"
    if kind == "F32":
        clean = "the clean way to a small file from this base is --merge-type q4_k_m"
    whole = f"only the weights that change become {choice.upper()}, all others stay as they are; --merge-type"
    assert (clean in told or whole in told) is few, told
    assert few is (choice in ("q6_k", "q5_k", "size") or (kind, choice) == ("Q4_0", "same")), written
    if whole in told:
        named = told.partition(whole)[2].split()[0]
        assert named in QUANTISED_TYPES
        assert kind == "F32", "such a type would quantise a quantised base again"
