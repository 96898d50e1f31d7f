"""The life of a merged model as its user types it: built, proved, replaced, brought back, removed."""

import json

import fake_daemon
import pytest
import scratch_store
from terminal import run

from ollama_pack.disk.files import sha256_of_file


@pytest.fixture(params=["store", "0.12", "0.33", "0.34.1", "0.40"])
def base(request, models, tiny_gguf, monkeypatch):
    """Return the name of a base in a store, or in a daemon of each generation."""
    monkeypatch.setattr(scratch_store, "details_of", lambda _: {})
    scratch_store.add_base(models, tiny_gguf, tag="tiny", template="{{ .Prompt }}!")
    if request.param == "store":
        yield "tiny"
        return
    with fake_daemon.running(models, request.param) as daemon:
        monkeypatch.setenv("OLLAMA_HOST", daemon.address)
        yield "tiny"


def states(name):
    """Return the states of a model's versions, and their digests."""
    rows = run("versions", name, "--json").document["versions"]
    return [row["state"] for row in rows], [row["digest"] for row in rows]


def test_a_life(ada, base, tmp_path, tiny_gguf):
    """Every command knows the model: of each form in turn, since the second replaces the first."""
    out = tmp_path / "out"
    words = ("build", ada, "ada", "--base", base, "--out", out, "--json")
    assert run(*words).code == 0
    merged = run(*words, "--merge")
    assert merged.code == 0, merged.stderr
    assert merged.document["delivery"]["base"] == {"manifest": "", "blob": sha256_of_file(tiny_gguf)}
    kept, digests = states("ada")
    assert kept == ["current", "kept"]
    proofs = run("verify", "ada", "--json")
    assert proofs.code == 0, proofs.stderr
    assert "files" in [proof["proof"] for proof in proofs.document["proofs"]]
    assert run("verify", out).code == 0
    back = run("rollback", "ada", "--json")
    assert back.code == 0, back.stderr
    assert states("ada") == (["current", "kept"], digests[::-1])
    assert run("rollback", "ada").code == 0
    assert states("ada") == (["current", "kept"], digests)
    (store,) = run("doctor", "--json").document["stores"]
    assert (store["merged"], len(store["adapted"])) == (["ada"], 1)
    assert "1 with an adapter, 1 with one merged in" in run("doctor").stdout
    shown = run("inspect", "ada", "--json").document
    assert (shown["has_adapter"], shown["blob"]) == (False, merged.document["merged"]["digest"])
    assert run("register", out, "again").code == 0
    assert run("verify", "again").code == 0
    gone = run("remove", "ada", "--yes", "--json").document
    assert len(gone["removed"]) == 2
    assert run("remove", "again", "--yes").code == 0
    assert run("verify", "ada").code == 2
    assert run("remove", base, "--yes").code == 7
    lock = json.loads((out / "ollama-pack.lock").read_text())
    assert lock["merged"] == {"gguf": sha256_of_file(out / "merged_model.gguf")}
