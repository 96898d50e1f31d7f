"""What each form costs is said of a base that is known by its tag, too; and what is said is so."""

import re

import fake_daemon
import pytest
import scratch_store
from hidden_store import hide_store
from recipes import TINY, resized, write_model
from terminal import run

LINE = re.compile(
    r"^form .*an adapter of (\S+ \S+) beside its base.*; --merge makes one file of (\S+) kB", re.M
)


@pytest.fixture(params=["store", "0.12", "0.33", "0.40"])
def base(request, models, tiny_gguf, monkeypatch):
    """Return the tag of a base in a store, or in a daemon whose store cannot be read."""
    monkeypatch.setattr(scratch_store, "details_of", lambda _: {})
    if request.param == "store":
        scratch_store.add_base(models, tiny_gguf, tag="tiny")
        yield "tiny"
        return
    closed = models.parent / "closed"
    scratch_store.add_base(closed, tiny_gguf, tag="tiny")
    hide_store(monkeypatch, closed)
    with fake_daemon.running(closed, request.param) as daemon:
        monkeypatch.setenv("OLLAMA_HOST", daemon.address)
        yield "tiny"


def test_a_tag(ada, base, tmp_path):
    """The size that is said of the merged file is the one that it then has, but for its keys."""
    words = ("build", ada, "ada", "--base", base, "--out", tmp_path / "out", "--no-load")
    told = run(*words)
    assert told.code == 0, told.stderr
    adapter, merged = LINE.search(told.stderr).groups()
    assert adapter == f"{(tmp_path / 'out' / 'adapter_model.gguf').stat().st_size / 1e3:.1f} kB"
    made = run(*words, "--merge")
    assert made.code == 0, made.stderr
    assert abs((tmp_path / "out" / "merged_model.gguf").stat().st_size / 1e3 - float(merged)) < 1


@pytest.mark.parametrize("merge_type", ["auto", "f16", "q8_0", "same"])
def test_a_dry_run(ada, base, tmp_path, merge_type):
    """A dry run says how large the merged file will be, and leaves nothing; the build makes that file."""
    out = tmp_path / "out"
    words = ("build", ada, "ada", "--base", base, "--merge", "--merge-type", merge_type, "--out", out)
    words = (*words, "--no-load", "--min-kept", "0", "--json")
    planned = run(*words, "--dry-run")
    assert planned.code == 0, planned.stderr
    assert not out.exists()
    sizes = [each["bytes"] for each in planned.document["delivery"]["items"]]
    built = run(*words)
    assert built.code == 0, built.stderr
    assert min(abs((out / "merged_model.gguf").stat().st_size - size) for size in sizes) < 1000


def test_a_base_that_nothing_here_has(smol, tmp_path):
    """What is not known is left out."""
    told = run("build", smol, "--via", "folder", "--out", tmp_path / "out")
    assert told.code == 0, told.stderr
    assert "beside its base, the smaller form" in told.stderr
    assert "--merge makes" not in told.stderr


@pytest.fixture
def own_form(models, monkeypatch, tmp_path):
    """Return a daemon of 0.40 with a base in Ollama's own form, which it does not run with an adapter."""
    own = resized(TINY, arch="mistral3")
    path = write_model(tmp_path / "own.gguf", own, keys=[("mistral3.rope.scaling_beta", "1")])
    monkeypatch.setattr(scratch_store, "details_of", lambda _: {})
    scratch_store.add_base(models, path, tag="own")
    monkeypatch.setitem(
        fake_daemon.CHARACTERS,
        "0.40",
        fake_daemon.replace(
            fake_daemon.CHARACTERS["0.40"],
            architectures=(*fake_daemon.CHARACTERS["0.40"].architectures, "mistral3"),
        ),
    )
    with fake_daemon.running(models, "0.40") as daemon:
        monkeypatch.setenv("OLLAMA_HOST", daemon.address)
        yield daemon


def test_a_daemon_that_runs_no_adapter_on_this_base(ada, own_form):
    """It is offered --merge: the same command with it registers a model, which that daemon runs."""
    words = ("build", ada, "ada", "--base", "own")
    refused = run(*words)
    assert refused.code == 5
    assert "does not load" in refused.stderr
    assert not own_form.models.has("ada")
    unproved = run(*words, "--no-load")
    assert unproved.code == 0
    assert run("remove", "ada", "--yes").code == 0
    for told in (refused.stderr, unproved.stderr):
        assert "or --base FILE.gguf in llama.cpp's form, or --merge" in told
    merged = run(*words, "--merge", "--json")
    assert merged.code == 0, merged.stderr
    assert merged.document["delivery"]["where"] == own_form.address
    assert ", or --merge" not in merged.stderr
    assert [proof["passed"] for proof in merged.document["proofs"]] == [True, True]
    assert own_form.models.has("ada")
    assert not any(
        layer["mediaType"].endswith(".adapter") for layer in own_form.models.document("ada")["layers"]
    )


def test_an_activated_adapter_is_not_offered_it(make_adapter, own_form):
    """A merged weight would act on every token, so the way out is not named for an aLoRA."""
    alora = make_adapter("alora", config={"alora_invocation_tokens": [5, 6]})
    told = run("build", alora, "ada", "--base", "own", "--no-load")
    assert told.code == 0, told.stderr
    assert "does not load it with an adapter" in told.stderr
    assert "or --merge" not in told.stderr
