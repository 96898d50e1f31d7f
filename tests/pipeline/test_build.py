"""The tour of the house, walked from Python."""

import hashlib
import os
from pathlib import Path

import pytest

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.deliver import choose
from ollama_pack.errors import DestinationError, InputError, ProofError, RefusedError
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.lora import outtype
from ollama_pack.lora.export import require_replaceable
from ollama_pack.modelfile.file import write_modelfile
from ollama_pack.modelfile.parser import parse
from ollama_pack.pipeline import build, form, request
from ollama_pack.pipeline.decide_modelfile import render_modelfile
from ollama_pack.pipeline.inputs import resolve_inputs
from ollama_pack.pipeline.naming import model_name
from ollama_pack.pipeline.prepare import GGUF_NAME, BuildPlan, prepare
from ollama_pack.pipeline.register import register
from ollama_pack.pipeline.request import Request
from ollama_pack.verify.numbers import prove_numbers

STAGES = ["read", "base", "prompt", "convert", "proof", "form", "modelfile", "register"]


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch, no_daemon):
    """Keep every build away from the user's Ollama."""
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def asked(make_adapter, tiny_gguf):
    """Return a function that asks for a build of a fresh adapter."""

    def ask(**fields):
        return Request(**{"directory": make_adapter(), "base": str(tiny_gguf), **fields})

    return ask


@pytest.fixture
def stages():
    """Return the stages told so far, and the function that tells them."""
    told = []
    return told, lambda stage, value: told.append((stage, value))


def test_build(asked, tmp_path, stages):
    """A build tells its stages in order, and its outcome is what they made."""
    told, note = stages
    request = asked()
    outcome = build.build(request, note)
    assert [stage for stage, _ in told] == STAGES
    values = dict(told)
    assert (outcome.work.adapter, outcome.work.base) == (values["read"], values["base"])
    assert (outcome.lora, outcome.report, outcome.receipt) == (
        values["convert"],
        values["proof"],
        values["register"],
    )
    assert outcome.modelfile == request.directory / "ollama" / "Modelfile.txt"
    assert outcome.report.passed
    assert (outcome.receipt.via, outcome.receipt.where) == ("store", str(tmp_path / "models"))


def test_the_proof_holds_for_the_file_that_is_left(asked):
    """Proving the file again, under its own name, gives the same report."""
    outcome = build.build(asked())
    assert prove_numbers(outcome.work.adapter, outcome.work.base, outcome.lora.path) == outcome.report
    content = outcome.lora.path.read_bytes()
    assert outcome.lora.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_plan_writes_nothing(asked, tmp_path, stages):
    """A plan tells what it read, and nothing is on the disk that was not."""
    request = asked()
    before = sorted(tmp_path.rglob("*"))
    told, note = stages
    work, planned = build.plan_build(request, note)
    assert [stage for stage, _ in told] == ["read", "base", "prompt"]
    assert (planned.name, planned.via, planned.replaces) == ("ada", "store", False)
    assert work.plan.arch == "llama"
    assert sorted(tmp_path.rglob("*")) == before


def test_plan_and_build_agree(asked, tmp_path):
    """The bytes a plan counts are the bytes a build moves, where the base must be copied."""
    base = tmp_path / "private.gguf"
    base.write_bytes(Path(asked().base).read_bytes())
    base.chmod(0o400)
    request = asked(base=str(base), via="store")
    _, planned = build.plan_build(request)
    receipt = build.build(request).receipt
    assert receipt.bytes_written in (planned.total, planned.total - base.stat().st_size)


def test_plan_protects(asked):
    """A plan tells that a file is in the way, as the build would."""
    request = asked()
    (request.directory / "ollama").mkdir()
    (request.directory / "ollama" / GGUF_NAME).write_text("my thesis")
    with pytest.raises(RefusedError):
        build.plan_build(request)


def test_register(asked, tmp_path, stages):
    """What a folder holds is registered under another name, without converting."""
    build.build(asked(via="folder", out=tmp_path / "release"))
    told, note = stages
    receipt = register(Request(directory=tmp_path / "release", name="bob"), note)
    assert [stage for stage, _ in told] == ["proof", "proof", "proof", "read", "prompt", "register"]
    assert (receipt.name, receipt.via) == ("bob", "store")


def test_settle_writes_nothing(asked, tmp_path):
    """Settling reads headers and decides; the disk stays as it was."""
    request = asked()
    before = sorted(tmp_path.rglob("*"))
    work = prepare(resolve_inputs(request))
    assert len(work.plan.tensors) == 2 * len(work.adapter.pairs) == 28
    assert sorted(tmp_path.rglob("*")) == before


def test_request_places(asked, tmp_path):
    """The store is the one named, else the environment's; files go to `out`, else beside the adapter."""
    assert resolve_inputs(asked()).locations.stores == (tmp_path / "models",)
    assert resolve_inputs(asked(store=tmp_path / "mine")).locations.stores == (tmp_path / "mine",)
    inputs = resolve_inputs(asked(out=tmp_path / "out"))
    assert inputs.output_dir == inputs.locations.folder == tmp_path / "out"
    assert resolve_inputs(asked()).output_dir == asked().directory / "ollama"


def test_request_name(asked):
    """A name is checked, and the directory gives one where none is asked for."""
    assert str(model_name(asked(name="team/ada:v1"))) == "team/ada:v1"
    assert str(model_name(asked())) == "ada"
    with pytest.raises(InputError, match="does not accept"):
        build.build(asked(name="no name"))


def test_failure_to_put_names_the_way_on(asked, tmp_path, stages):
    """Where no delivery works the files stay, and the hint ends with the command that goes on."""
    (tmp_path / "file").touch()
    request = asked(store=tmp_path / "file" / "models", out=tmp_path / "with space")
    told, note = stages
    with pytest.raises(DestinationError) as caught:
        build.build(request, note)
    assert [stage for stage, _ in told] == STAGES[:-1]
    assert f"ollama-pack register '{tmp_path / 'with space'}' ada" in caught.value.hint
    assert read_gguf(tmp_path / "with space" / GGUF_NAME).text("general.type") == "adapter"
    assert caught.value.__cause__ is not None


def test_progress(asked):
    """Progress counts up to the whole, label by label."""
    steps = {}
    build.build(asked(via="store"), progress=lambda label, done, total: steps.update({label: (done, total)}))
    assert steps
    assert all(done == total for done, total in steps.values())


def test_convert_that_fails_its_proof(asked, tmp_path, monkeypatch):
    """A file that fails its proof does not appear, and no stage is told."""
    from ollama_pack.verify import numbers

    def fail(report, path):
        raise ProofError("off", where=path)

    monkeypatch.setattr(numbers, "require_passed", fail)
    work = prepare(resolve_inputs(asked()))
    with pytest.raises(ProofError):
        form.convert(work, tmp_path / "new" / "x.gguf", "f16", lambda *_: pytest.fail("a stage was told"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("outtype", ["f16", "f32"])
def test_convert_replaces_its_own(asked, outtype):
    """A GGUF LoRA of an earlier build is replaced."""
    work = prepare(resolve_inputs(asked()))
    path = work.adapter.directory / GGUF_NAME
    first, _ = form.convert(work, path, "f16")
    second, _ = form.convert(work, path, outtype)
    assert (first.digest == second.digest) is (outtype == "f16")


def test_render_names_the_base(asked, tiny_gguf, tmp_path):
    """FROM is the way from the folder to a GGUF base, or the tag of a named one."""
    request = asked(out=tmp_path / "deep" / "er")
    work = prepare(resolve_inputs(request))
    source = render_modelfile(resolve_inputs(request), work).value("FROM")
    assert source.startswith("../")
    assert (tmp_path / "deep" / "er").joinpath(*Path(source).parts).resolve() == tiny_gguf.resolve()
    beside = BuildPlan(work.adapter, read_base_gguf(tiny_gguf), work.plan)
    there = asked(out=tiny_gguf.parent)
    assert render_modelfile(resolve_inputs(there), beside).value("FROM") == "./tiny.gguf"


def test_render_of_a_named_base(asked, tiny_base):
    """A base that is no file is named by its tag."""
    request = asked()
    work = prepare(resolve_inputs(request))
    assert (
        render_modelfile(resolve_inputs(request), BuildPlan(work.adapter, tiny_base, work.plan)).value("FROM")
        == "tiny:latest"
    )


def test_write_modelfile_once(tmp_path, stages):
    """A Modelfile that says the same already is not touched; another one is written whole."""
    told, note = stages
    path = tmp_path / "Modelfile.txt"
    modelfile = parse("FROM x\n", where="x")
    write_modelfile(modelfile, path, note)
    time = path.stat().st_mtime_ns
    write_modelfile(modelfile, path, note)
    assert path.stat().st_mtime_ns == time
    write_modelfile(parse("FROM y\n", where="x"), path, note)
    assert path.read_bytes() == b"FROM y\n"
    assert path.with_name("Modelfile.txt.old").read_bytes() == b"FROM x\n"
    assert [stage for stage, _ in told] == ["modelfile", "modelfile", "kept", "modelfile"]
    written = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    write_modelfile(parse("FROM z\n", where="x"), path, note, known=written)
    assert path.with_name("Modelfile.txt.old").read_bytes() == b"FROM x\n"


def test_what_somebody_edited_is_not_lost(asked, tmp_path):
    """A Modelfile.txt among the output, edited by hand, is kept under another name, and that is told."""
    request = asked(via="folder", out=tmp_path / "out")
    build.build(request)
    written = request.out / "Modelfile.txt"
    written.write_text(f"{written.read_text()}SYSTEM Edited by hand.\n")
    told = []
    build.build(request, lambda stage, value: told.append((stage, value)))
    assert "Edited by hand." in (request.out / "Modelfile.txt.old").read_text()
    assert "Edited" not in written.read_text()
    assert any(stage == "kept" for stage, _ in told)


def test_drafts_of_a_killed_build_are_tidied(asked):
    """What a killed run left in the output goes after an hour; a younger one may be of another run."""
    request = asked(via="folder")
    folder = request.directory / "ollama"
    folder.mkdir()
    old, young = (folder / f".ollama-pack-{age}" for age in ("old", "young"))
    for draft in (old, young):
        draft.touch()
    os.utime(old, (0, 0))
    build.build(request)
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF\x03\0\0\0" + bytes(16), b"my thesis"])
def test_protect(tmp_path, content):
    """Whatever is no GGUF LoRA is protected, down to a GGUF without a type."""
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(RefusedError, match="not a GGUF LoRA"):
        require_replaceable(tmp_path / "x.gguf")


def test_protect_nothing(tmp_path):
    """A free place needs no protection; one that cannot be asked about is a DestinationError."""
    require_replaceable(tmp_path / "free.gguf")
    with pytest.raises(DestinationError, match="too long"):
        require_replaceable(tmp_path / ("a" * 300))


@pytest.mark.parametrize("wrong", [{"via": "store2"}, {"outtype": "q4"}])
def test_a_request_knows_its_words(tmp_path, wrong):
    """A way or a type that does not exist is told at once, from Python too."""
    with pytest.raises(InputError, match="is not one of"):
        Request(directory=tmp_path, **wrong)


def test_the_words_of_a_request_are_those_of_the_stages():
    """What may be asked for is what there is, named in one order."""
    assert request.VIA_CHOICES == choose.DELIVERIES
    assert (*outtype.OUTTYPE_NUMBERS, outtype.AUTO_OUTTYPE) == request.OUTTYPES


def test_a_request_takes_paths_as_text(tmp_path):
    """Text in place of a path means the path."""
    asked = Request(directory=str(tmp_path), out=str(tmp_path / "out"))
    assert (asked.directory, asked.out) == (tmp_path, tmp_path / "out")
