"""How a merged model behaves beside its base with the adapter: figures of a model that llama.cpp runs."""

import sys
from pathlib import Path

import numpy as np
import pytest
from ggml_builds import hide_ggml, offer_ggml
from recipes import TINY, resized, write_adapter, write_model
from terminal import run

from ollama_pack.engine import logits_worker
from ollama_pack.errors import UnsupportedError
from ollama_pack.verify.behaviour import Behaviour, compare_behaviour

WIDE = resized(TINY, hidden=64, feed_forward=96, head_dim=32, heads=2, kv_heads=2)
TEXT = " ".join("abcdefgh" * 3)


@pytest.fixture
def words(tmp_path):
    """Return the words of a merge whose behaviour is compared."""
    base = write_model(tmp_path / "base.gguf", WIDE)
    adapter = write_adapter(tmp_path / "ada-lora", base=WIDE, alpha=12)
    (tmp_path / "text.txt").write_text(TEXT)
    out = ("--out", tmp_path / "merged.gguf")
    return ("merge", adapter, "--base", base, *out, "--kept-on", tmp_path / "text.txt")


@pytest.mark.llama
def test_a_merged_model(words, monkeypatch):
    """A merged file in F32 behaves as the adapter beside the base; one that lacks half of ΔW does not."""
    offer_ggml(monkeypatch)
    whole = run(*words, "--json")
    assert whole.code == 0, whole.stderr
    behaviour = whole.document["merged"]["behaviour"]
    assert behaviour["kept"] > 0.999
    assert behaviour["base_divergence"] > 1e-4
    assert behaviour["tokens"] > 10
    assert "% of what the adapter changes" in " ".join(run(*words).stderr.split())


@pytest.mark.llama
def test_it_can_fail(words, tmp_path, monkeypatch):
    """The base itself keeps nothing, and half of ΔW keeps a part."""
    offer_ggml(monkeypatch)
    from ollama_pack.gguf.ggml_library import find_ggml

    run("convert", words[1], "--base", words[3], "--out", tmp_path / "ada.gguf", "--outtype", "f32")
    run("merge", words[1], "--base", words[3], "--out", tmp_path / "half.gguf", "--scale", "0.5")
    models = (words[3], tmp_path / "ada.gguf")
    bare = compare_behaviour(find_ggml(), (*models, words[3]), TEXT)
    half = compare_behaviour(find_ggml(), (*models, tmp_path / "half.gguf"), TEXT)
    assert bare.kept == pytest.approx(0, abs=1e-3)
    assert 0.3 < half.kept < 0.95
    with pytest.raises(UnsupportedError, match="does not run"):
        compare_behaviour(find_ggml(), (words[1], *models[1:], words[3])[:3], TEXT)


def test_the_formula(tmp_path, monkeypatch):
    """Kullback and Leibler's divergence by hand, from logits that a stand-in of the process tells."""
    random = np.random.default_rng(2)
    rows = {name: random.normal(0, 1, (9, 7)).astype(np.float32) for name in ("adapted", "base", "merged")}
    for name, logits in rows.items():
        (tmp_path / name).write_bytes(logits_worker.LOGITS_HEAD.pack(9, 7) + logits.tobytes())
    script = tmp_path / "worker.py"
    script.write_text(
        "import pathlib, sys\n"
        "_, _, model, *more = sys.argv\n"
        "folder = pathlib.Path(model).parent\n"
        "name = 'adapted' if more else pathlib.Path(model).name\n"
        "sys.stdin.buffer.read()\n"
        "sys.stdout.buffer.write((folder / name).read_bytes())\n"
    )
    monkeypatch.setattr(logits_worker, "__file__", str(script))
    models = tuple(tmp_path / name for name in ("base", "x", "merged"))
    found = compare_behaviour(Path(sys.executable), models, "text")

    def divergence(name: str) -> float:
        def shares(logits):
            return np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum(axis=1, keepdims=True)

        one, other = shares(rows["adapted"]), shares(rows[name])
        return float((one * np.log(one / other)).sum(axis=1).mean())

    assert found.divergence == pytest.approx(divergence("merged"))
    assert found.base_divergence == pytest.approx(divergence("base"))
    assert found.kept == pytest.approx(1 - divergence("merged") / divergence("base"))
    assert Behaviour(0.0, 0.0, 3).kept == 1
    (tmp_path / "merged").write_bytes(logits_worker.LOGITS_HEAD.pack(8, 7))
    with pytest.raises(UnsupportedError, match="same tokens"):
        compare_behaviour(Path(sys.executable), models, "text")


def test_what_is_no_text(words, tmp_path, monkeypatch):
    """A file that cannot be compared on is refused before anything is merged."""
    offer_ggml(monkeypatch)
    for content in (b"\xff\xfe\xfd", b"a" * (1 << 19)):
        (tmp_path / "text.txt").write_bytes(content)
        assert run(*words).code == 3
    assert run(*words[:-1], tmp_path / "nothing").code == 2
    assert not (tmp_path / "merged.gguf").exists()
    hide_ggml(monkeypatch)
    ran = run(*words)
    assert (ran.code, "ollama-pack[try]" in ran.stderr) == (2, True)
