"""What the author of an adapter left beside it: read, told, and warned about where it has no effect."""

import json

import pytest
from recipes import write_adapter
from scratch_store import add_blob
from terminal import add_base, layers_of, model_in, run

from ollama_pack.base.lookup import read_base_by_name
from ollama_pack.run.file_roles import LEFT_OUT, USED
from ollama_pack.run.listing import list_files

ALPACA = "FROM llama3.2:1b\nSYSTEM You are Ada.\nPARAMETER stop ###\nPARAMETER stop END\n"


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Keep every build away from the user's Ollama."""
    for name, value in {"OLLAMA_HOST": "127.0.0.1:9", "OLLAMA_MODELS": tmp_path / "models"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def ada(make_adapter):
    """Return an adapter of the tiny base."""
    return make_adapter()


@pytest.fixture
def built(ada, tiny_gguf):
    """Return a function that builds with a Modelfile of that name and text, and what was told and written."""

    def build(name, text, *more, base=tiny_gguf):
        (ada / name).write_text(text, "utf-8")
        ran = run("build", ada, *(("--base", base) if base else ()), "--via", "folder", *more)
        assert ran.code == 0, ran.stderr
        assert (ada / name).read_text("utf-8") == text
        return ran.stderr, (ada / "ollama" / "Modelfile.txt").read_text("utf-8")

    return build


def warned(told):
    """Return what the warnings say."""
    return [line.removeprefix("warning").strip() for line in told.splitlines() if line.startswith("warning")]


def test_ollamas_own_name(built, ada):
    """`Modelfile` is read where there is no Modelfile.txt, and what is in it is told."""
    told, written = built("Modelfile", ALPACA)
    read = f"{ada / 'Modelfile'} is read, because there is no Modelfile.txt; it has SYSTEM, 2 PARAMETER"
    assert read in told
    assert "SYSTEM You are Ada." in written
    assert written.count("PARAMETER stop") == 2


def test_modelfile_txt_counts(built, ada):
    """Where both are there, Modelfile.txt is read alone, and the list of files says so."""
    (ada / "Modelfile").write_text(ALPACA, "utf-8")
    told, written = built("Modelfile.txt", "SYSTEM Be brief.\n")
    assert "is read, because" not in told
    assert "You are Ada" not in written
    used = {file.name: file.use for file in list_files(ada).files}
    assert (used["Modelfile.txt"], used["Modelfile"]) == (USED, LEFT_OUT)


def test_from_of_ollamas_own_name(tmp_path):
    """Its FROM names the base, as that of Modelfile.txt does."""
    config = {"base_model_name_or_path": "meta-llama/Llama-3.2-1B-Instruct"}
    home = write_adapter(
        tmp_path / "ada",
        base=read_base_by_name("llama3.2:1b"),
        modules=("v_proj",),
        layers=(0,),
        config=config,
    )
    (home / "Modelfile").write_text("FROM llama3.2:1b-instruct-q4_K_M\n", "utf-8")
    assert run("build", home, "--via", "folder").code == 0
    assert "FROM llama3.2:1b-instruct-q4_K_M\n" in (home / "ollama" / "Modelfile.txt").read_text("utf-8")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (".", ". is a directory, but a base is an Ollama model or a GGUF file"),
        ("./merged.Q8_0.gguf", "without ADAPTER, ./merged.Q8_0.gguf may hold the adapter already"),
    ],
)
def test_a_merged_model_is_no_base(built, source, reason):
    """What a trainer wrote for its merged model does not become the base of the adapter, and that is told."""
    told, written = built("Modelfile", f"FROM {source}\nSYSTEM You are Ada.\n")
    assert reason in told
    assert "SYSTEM You are Ada." in written
    assert "FROM ../../" in written


def test_a_file_with_an_adapter_is_a_base(built, tiny_gguf):
    """With ADAPTER, FROM is the file that the adapter is put on."""
    told, written = built("Modelfile", f"FROM {tiny_gguf}\nADAPTER ./old.gguf\n", base=None)
    assert "is left out" not in told
    assert "ADAPTER ./adapter_model.gguf" in written


def test_a_damaged_one_is_told(ada, tiny_gguf):
    """A `Modelfile` that Ollama could not read is told by its path and line."""
    (ada / "Modelfile").write_text("FROM x\nFLY me\n", "utf-8")
    ran = run("build", ada, "--base", tiny_gguf, "--via", "folder")
    assert ran.code == 3
    assert f"{ada / 'Modelfile'}, line 2" in ran.stderr


def test_template_without_the_question(built, ada):
    """Everything in the author's file that does not do what it seems to is told with its line."""
    told, _ = built("Modelfile.txt", 'SYSTEM Be brief.\nTEMPLATE "User: {{.Input}}\\n\\nAssistant:"\n')
    where = f"{ada / 'Modelfile.txt'}, line 2: "
    first, second, third = warned(told)
    assert first.startswith(f"{where}the TEMPLATE uses neither .Prompt nor .Messages")
    assert second.startswith(f"{where}Ollama has no field .Input; the fields are .System, .Prompt")
    assert third.startswith(f"{where}\\n is a backslash and a letter")


def test_what_an_option_replaces_is_not_warned_of(built):
    """The author's TEMPLATE is not in force where --template names another one."""
    told, _ = built("Modelfile.txt", 'TEMPLATE "{{.Input}}"\n', "--template", "chatml")
    assert warned(told) == []


def test_what_an_option_sets_is_warned_of(built, tmp_path):
    """A template of one's own and a system prompt are looked at as well."""
    mine = tmp_path / "mine.Modelfile"
    mine.write_text("FROM [[ base|quoted ]]\nTEMPLATE {{ .Question }}\n", "utf-8")
    told, _ = built("Modelfile.txt", "# mine\n", "--template", mine, "--system", r"One.\nTwo.")
    assert [line.partition(":")[0] for line in warned(told)] == ["TEMPLATE", "TEMPLATE", "SYSTEM"]


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ((), {"template", "system"}),
        (("--system", ""), {"template"}),
        (("--template", ""), {"system"}),
        (("--template", "", "--system", ""), set()),
        (("--template", "alpaca"), {"template"}),
        (("--template", "alpaca", "--system", "You are Ada."), {"template", "system"}),
        (("--template", "inherit"), {"template", "system"}),
    ],
)
def test_parts_of_the_base(ada, tiny_gguf, tmp_path, words, kinds):
    """A template takes the base's system prompt with it, and an empty text removes; register does so, too."""
    add_base(tmp_path / "models", tiny_gguf, "mine", "latest")
    path = tmp_path / "models/manifests/registry.ollama.ai/library/mine/latest"
    manifest = json.loads(path.read_bytes())
    blob = add_blob(tmp_path / "models", b"You are tiny.")
    manifest["layers"].append({"mediaType": "application/vnd.ollama.image.system", **blob})
    path.write_text(json.dumps(manifest))
    assert run("build", ada, "one", "--base", "mine", "--via", "store", *words).code == 0
    assert run("register", ada, "two", "--via", "store").code == 0
    for name in ("one", "two"):
        layers = layers_of(model_in(tmp_path / "models", name))
        assert layers.keys() & {"template", "system"} == kinds
    built = (ada / "ollama" / "Modelfile.txt").read_text("utf-8")
    assert ('SYSTEM ""' in built) == ("system" not in kinds)


def test_the_other_commands_warn_too(ada, tiny_gguf):
    """modelfile, inspect and --dry-run tell the same; -q tells nothing."""
    (ada / "Modelfile").write_text("PARAMETER mirostat 2\n", "utf-8")
    said = "Modelfile, line 1: Ollama ignores the parameter mirostat."
    for words in (("modelfile", ada), ("build", ada, "--dry-run", "--via", "folder"), ("inspect", ada)):
        ran = run(*words, "--base", tiny_gguf)
        assert ran.code == 0
        assert said in ran.stderr + ran.stdout, words
        assert "is read, because there is no Modelfile.txt" in ran.stderr + ran.stdout
    assert run("modelfile", ada, "--base", tiny_gguf, "-q").stderr == ""
