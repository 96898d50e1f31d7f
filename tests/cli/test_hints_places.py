"""What a message about a place, a release, an installed model or a merged one says is done, and works."""

import re

import pytest
from following import hint_of, succeeds
from recipes import write_model
from terminal import add_base, run

MODELFILE = "Modelfile.txt"


@pytest.fixture
def build(ada, tiny_gguf):
    """Return the words of a build that works, into the files of a folder."""
    return ("build", ada, "ada", "--base", tiny_gguf, "--via", "folder")


@pytest.fixture
def stored(ada, tiny_gguf):
    """Return the words of a build into the store."""
    return ("build", ada, "ada", "--base", tiny_gguf, "--via", "store")


@pytest.mark.parametrize("name", ["adapter_model.gguf", MODELFILE])
def test_a_file_in_the_way(build, tmp_path, name):
    """Another place, or the file moved away."""
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_bytes(b"\x00mine")
    words = (*build, "--out", out)
    code = "file-in-the-way"
    hint = hint_of(*words, code=code)
    assert re.fullmatch("--out with another (place|directory), or move the file away", hint)
    succeeds(*build, "--out", tmp_path / "elsewhere")
    (out / name).rename(tmp_path / "moved")
    succeeds(*words)


def test_out_with_an_adapter_in_it(ada, build, tmp_path):
    """--out with a directory of its own."""
    hint = hint_of(*build, "--out", ada, code="adapter-in-output")
    assert hint == "--out DIR, with a directory of its own"
    succeeds(*build, "--out", tmp_path / "own")


def test_a_folder_that_is_no_release(ada, build, tmp_path):
    """The command that the message gives makes the folder that register wants."""
    (tmp_path / "empty").mkdir()
    hint = hint_of("register", tmp_path / "empty", "ada", "--via", "store", code="no-release")
    command = hint.partition("  ")[0]
    words = command.replace("DIR", str(ada)).replace("FOLDER", str(tmp_path / "made")).split()
    succeeds(*words[1:], "--base", build[4])
    succeeds("register", tmp_path / "made", "ada", "--via", "store")


@pytest.mark.parametrize(
    ("line", "told"),
    [("", "ollama-pack build DIR  sets it"), ("ADAPTER ./x.gguf", "ADAPTER must name a GGUF LoRA file")],
)
def test_a_release_without_its_adapter(build, tiny_gguf, tmp_path, line, told):
    """The build writes the line again; a file of another kind gives way to the GGUF LoRA."""
    out = tmp_path / "out"
    succeeds(*build, "--out", out)
    (out / "x.gguf").write_bytes(tiny_gguf.read_bytes())
    (out / "ollama-pack.lock").unlink()
    text = (out / MODELFILE).read_text()
    (out / MODELFILE).write_text(text.replace("ADAPTER ./adapter_model.gguf", line))
    assert hint_of("register", out, "ada", "--via", "store", code="damaged") == told
    (out / MODELFILE).unlink()
    succeeds(*build, "--out", out)
    succeeds("register", out, "ada", "--via", "store")


def test_the_name_of_the_base(ada, tmp_path, models):
    """A model does not replace its own base; under another name it is made."""
    add_base(models, write_model(tmp_path / "t.gguf"), "tiny", "latest")
    words = ("build", ada, "--base", "tiny", "--via", "store")
    hint = hint_of(*words, "--name", "tiny", code="own-base")
    assert hint == "--name NAME  chooses another name"
    succeeds(*words, "--name", "other")


def test_versions_of_a_model(stored, models, tmp_path):
    """One of the digests that are listed is restored."""
    succeeds(*stored)
    succeeds(*stored, "--parameter", "temperature=0.5")
    hint = hint_of("rollback", "ada", "0000", code="no-such-version")
    digest = re.match(r"choose one of ([0-9a-f]+)", hint)[1]
    succeeds("rollback", "ada", digest)
    succeeds("remove", "ada", "--yes")
    succeeds(*stored)
    hint = hint_of("rollback", "ada", code="no-such-version")
    assert hint == "a version is kept when a build replaces a model"
    succeeds(*stored, "--parameter", "temperature=0.7")
    succeeds("rollback", "ada")


def test_a_model_without_an_adapter(tmp_path, models):
    """`inspect` shows what it is."""
    add_base(models, write_model(tmp_path / "t.gguf"), "tiny", "latest")
    hint = hint_of("verify", "tiny", code="no-adapter-in-model")
    assert hint == "ollama-pack inspect NAME  shows what a model is"
    succeeds("inspect", "tiny")


def test_no_store_and_no_daemon(smol, ada, tiny_gguf, tmp_path, monkeypatch):
    """--via folder works without either, and a store that is named is made for a GGUF file."""
    hint = hint_of("build", smol, "smol", code="no-store")
    assert hint.splitlines()[0] == "ollama serve, then ollama pull smollm2:135m; or --via folder"
    succeeds("build", smol, "smol", "--via", "folder")
    hint = hint_of("versions", "ada", code="no-store")
    assert hint == "ollama serve, or --store DIR"
    succeeds("build", ada, "ada", "--base", tiny_gguf, "--via", "store")
    succeeds("versions", "ada", "--store", tmp_path / "models")


def test_a_prompt_that_differs(ada, build):
    """Without --strict the model is built, and the difference is shown."""
    (ada / "chat_template.jinja").write_text("{% for m in messages %}<{{ m['content'] }}>{% endfor %}")
    (ada / MODELFILE).write_text('TEMPLATE "{{ .Prompt }}"\n')
    hint = hint_of(*build, "--strict", code="prompt")
    assert hint == "without --strict, the difference is only reported"
    ran = run(*build)
    assert (ran.code, "prompt " in ran.stderr) == (0, True)


def test_one_chat_template_of_several(ada, build):
    """Saved under the name that is given, the one that was trained with is read."""
    several = '[{"name": "tools", "template": "x"}, {"name": "rag", "template": "y"}]'
    (ada / "tokenizer_config.json").write_text(f'{{"chat_template": {several}}}')
    told = run(*build).stderr
    path = re.search(r"save the template used in training as (\S+)", told)[1]
    (ada / "chat_template.jinja").write_text("{{ messages }}")
    assert path == (ada / "chat_template.jinja").as_posix()
    assert "several chat templates" not in run(*build).stderr


def test_reports(ada, tiny_gguf, tmp_path):
    """A page in another directory, and one with another name."""
    pytest.importorskip("matplotlib", reason="NOT TESTED: matplotlib is not installed")
    words = ("inspect", ada, "--base", tiny_gguf, "--report")
    hint = hint_of(*words, ada / "r.html", code="report-in-the-run")
    assert hint == "--report with a file in another directory"
    succeeds(*words, tmp_path / "r.html")
    (tmp_path / "notes.html").write_text("mine")
    assert hint_of(*words, tmp_path / "notes.html", code="file-in-the-way") == "--report with another name"
    succeeds(*words, tmp_path / "other.html")


def test_activated_adapters_one_by_one(make_adapter, tiny_gguf):
    """Two that act after other tokens are no sum; each is built by itself."""
    one = make_adapter("one-lora", config={"alora_invocation_tokens": [5]})
    two = make_adapter("two-lora", config={"alora_invocation_tokens": [6]})
    words = ("--base", tiny_gguf, "--via", "folder")
    sum_of_both = ("build", one, two, "both", "--weight", 1, "--weight", 1, *words)
    assert hint_of(*sum_of_both, code="unsupported") == "build each adapter by itself"
    succeeds("build", one, *words)
    succeeds("build", two, *words)
