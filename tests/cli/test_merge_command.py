"""``ollama-pack merge``: one GGUF file with the adapter in it."""

import gguf
import pytest
import scratch_store
from ggml_builds import hide_ggml, offer_ggml
from recipes import TINY, resized, write_adapter, write_model
from terminal import run, tree

from ollama_pack.gguf.reader import read_gguf


def test_a_file(ada, tiny_gguf, tmp_path):
    """The file goes where --out says, its path to stdout, the proof to stderr; the adapter is not touched."""
    before, out = tree(ada), tmp_path / "new" / "ada.gguf"
    ran = run("merge", ada, "--base", tiny_gguf, "--out", out)
    assert (ran.code, ran.stdout) == (0, f"{out}\n"), ran.stderr
    assert "keep 100.0 % of ΔW" in ran.stderr
    assert tree(ada) == before
    assert list(out.parent.iterdir()) == [out]
    assert read_gguf(out).text("general.name") == "ada"


def test_again_and_in_the_way(ada, tiny_gguf, tmp_path):
    """A second merge replaces the first with the same bytes; any other file, and the base, is protected."""
    out = tmp_path / "ada.gguf"
    run("merge", ada, "--base", tiny_gguf, "--out", out)
    first = out.read_bytes()
    assert run("merge", ada, "--base", tiny_gguf, "--out", out).code == 0
    assert out.read_bytes() == first
    base = tmp_path / "base.gguf"
    base.write_bytes(tiny_gguf.read_bytes())
    ran = run("merge", ada, "--base", base, "--out", base)
    assert (ran.code, base.read_bytes()) == (7, tiny_gguf.read_bytes())
    assert "--out" in ran.stderr
    assert run("merge", ada, "--base", out, "--out", out).code == 7


def test_the_weights_of_the_base_are_needed(ada, tmp_path):
    """A base that is known by its name only cannot be merged into; what to give is said."""
    ran = run("merge", ada, "--base", "vicuna:7b", "--out", tmp_path / "ada.gguf")
    assert ran.code in (2, 3)
    assert "--base" in ran.stderr


def test_a_model_of_a_store(ada, tiny_gguf, tmp_path, models, monkeypatch):
    """The base may be an Ollama model of a store on this machine."""
    monkeypatch.setattr(scratch_store, "details_of", lambda _: {})
    scratch_store.add_base(models, tiny_gguf, tag="tiny")
    ran = run("merge", ada, "--base", "tiny", "--out", tmp_path / "ada.gguf")
    assert ran.code == 0, ran.stderr
    assert len(gguf.GGUFReader(tmp_path / "ada.gguf").tensors) == len(gguf.GGUFReader(tiny_gguf).tensors)


def test_json(ada, tiny_gguf, tmp_path):
    """--json has the figures of every weight."""
    ran = run("merge", ada, "--base", tiny_gguf, "--out", tmp_path / "ada.gguf", "--json")
    merged = ran.document["merged"]
    assert merged["size"] == (tmp_path / "ada.gguf").stat().st_size
    assert {each["types"] for each in merged["weights"]} == {"F32"}
    assert all(abs(each["gain"] - 1) < 1e-4 for each in merged["weights"])


def test_an_activated_adapter(make_adapter, tiny_gguf, tmp_path):
    """An aLoRA, which acts after certain tokens only, is not baked in for every token."""
    alora = make_adapter(config={"alora_invocation_tokens": [5, 9]})
    ran = run("merge", alora, "--base", tiny_gguf, "--out", tmp_path / "ada.gguf")
    assert ran.code == 4
    assert "invocation tokens" in ran.stderr
    assert not (tmp_path / "ada.gguf").exists()


@pytest.mark.llama
@pytest.mark.parametrize("merge_type", ["q5_k", "q6_k"])
def test_types_of_llama_cpp(tmp_path, monkeypatch, merge_type):
    """Rows of 256 and more go into the type that was asked for, and the proof has its figures."""
    offer_ggml(monkeypatch)
    wide = resized(TINY, hidden=256, feed_forward=288, heads=4, kv_heads=2, head_dim=64)
    base = write_model(tmp_path / "wide.gguf", wide)
    words = ("merge", write_adapter(tmp_path / "ada", base=wide), "--base", base, "--out")
    ran = run(*words, tmp_path / "ada.gguf", "--merge-type", merge_type, "--json")
    assert ran.code == 0, ran.stderr
    told = " ".join(ran.stderr.split())
    assert f"only the weights that change become {merge_type.upper()}, all others stay as they are" in told
    assert "--merge-type q5_k_m makes the whole file small" in told  # tests/cli/test_merge_quantised.py
    weights = {each["tensor"].partition(".")[2]: each for each in ran.document["merged"]["weights"]}
    assert weights["0.attn_q.weight"]["types"] == f"F32 → {merge_type.upper()}"
    assert weights["0.ffn_down.weight"]["types"] == "F32 → Q8_0"
    assert ran.document["merged"]["kept"]["gain"] == pytest.approx(1, abs=0.02)
    again = run(*words, tmp_path / "again.gguf", "--merge-type", merge_type, "--json")
    assert again.document["merged"]["size"] < base.stat().st_size


def test_without_llama_cpp_nothing_is_written(tmp_path, monkeypatch):
    """The extra is asked for before the file is begun."""
    hide_ggml(monkeypatch)
    wide = resized(TINY, hidden=256, feed_forward=288, heads=4, kv_heads=2, head_dim=64)
    base = write_model(tmp_path / "wide.gguf", wide)
    words = ("merge", write_adapter(tmp_path / "ada", base=wide), "--base", base, "--out")
    ran = run(*words, tmp_path / "new" / "ada.gguf", "--merge-type", "q6_k")
    assert ran.code == 2
    assert "pip install 'ollama-pack[try]'" in ran.stderr
    assert not (tmp_path / "new").exists()
