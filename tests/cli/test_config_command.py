"""``ollama-pack config``: every value in force and where it comes from, in the order that counts."""

import pytest
from terminal import run

BASE = {"typed": "a:1", "environment": "b:1", "file": "c:1", "Modelfile": "d:1", "adapter": "ada/e"}


def value_of(document, key):
    """Return the value of an option, its source and its place."""
    (found,) = [each for each in document["values"] if each["key"] == key]
    return found["value"], found["source"], found["where"]


@pytest.fixture
def everywhere(make_adapter, alone, monkeypatch):
    """Return a directory whose base is named by the adapter, its Modelfile.txt, the file and a variable."""
    ada = make_adapter(config={"base_model_name_or_path": BASE["adapter"]})
    (ada / "Modelfile.txt").write_text(
        f"# by Ada\nFROM {BASE['Modelfile']}\nPARAMETER top_k 3\nPARAMETER seed 4\n"
    )
    (alone / "ollama-pack.toml").write_text(f'[options]\nbase = "{BASE["file"]}"\n')
    monkeypatch.setenv("OLLAMA_PACK_BASE", BASE["environment"])
    return ada


def test_the_whole_order(everywhere, alone, monkeypatch):
    """A flag counts more than the environment, that more than the file, Modelfile.txt and the adapter."""
    ada = everywhere
    typed = run("config", "build", ada, "--base", BASE["typed"], "--json").document
    assert value_of(typed, "base") == (BASE["typed"], "typed", "")
    found = [value_of(run("config", ada, "--json").document, "base")]
    monkeypatch.delenv("OLLAMA_PACK_BASE")
    found.append(value_of(run("config", ada, "--json").document, "base"))
    (alone / "ollama-pack.toml").unlink()
    found.append(value_of(run("config", ada, "--json").document, "base"))
    (ada / "Modelfile.txt").unlink()
    found.append(value_of(run("config", ada, "--json").document, "base"))
    assert found == [
        (BASE["environment"], "environment", "OLLAMA_PACK_BASE"),
        (BASE["file"], "file", "ollama-pack.toml, line 2: options.base"),
        (BASE["Modelfile"], "Modelfile", f"{ada / 'Modelfile.txt'}, line 2"),
        (BASE["adapter"], "adapter", f"{ada / 'adapter_config.json'}: base_model_name_or_path"),
    ]


def test_what_counts_less_is_told(everywhere, alone, monkeypatch):
    """Beside a value stand the others that a place gives, in their order; equal ones are no conflict."""
    ada = everywhere
    document = run("config", "build", ada, "--base", BASE["typed"], "--json").document
    (base,) = [each for each in document["values"] if each["key"] == "base"]
    assert [(each["value"], each["source"]) for each in base["instead_of"]] == [
        (BASE[place], place) for place in ("environment", "file", "Modelfile")
    ]
    assert base["instead_of"][1]["where"] == "ollama-pack.toml, line 2: options.base"
    told = run("config", ada, "--base", BASE["typed"]).stdout
    assert "instead of b:1  (environment OLLAMA_PACK_BASE)" in told
    monkeypatch.setenv("OLLAMA_PACK_BASE", BASE["typed"])
    (alone / "ollama-pack.toml").unlink()
    (ada / "Modelfile.txt").unlink()
    again = run("config", "build", ada, "--base", BASE["typed"], "--json").document
    others = {each["key"]: each["instead_of"] for each in again["values"] if each["instead_of"]}
    assert {key: [each["source"] for each in found] for key, found in others.items()} == {"base": ["adapter"]}


def test_what_is_told_is_what_is_used(everywhere, tiny_gguf, monkeypatch):
    """A build uses the base that is told; the name is that of the directory, or the one that is typed."""
    monkeypatch.setenv("OLLAMA_PACK_BASE", str(tiny_gguf))
    document = run("config", everywhere, "grace", "--json").document
    built = run("build", everywhere, "grace", "--via", "folder", "--json").document
    assert value_of(document, "base")[0] == str(tiny_gguf)
    assert value_of(document, "name") == (built["name"], "typed", "")
    assert value_of(run("config", everywhere, "--json").document, "name")[:2] == ("ada", "adapter")


def test_parameters_by_their_keys(everywhere):
    """The PARAMETERs of Modelfile.txt are told beside those that an option gives, but for its keys."""
    values = [
        (each["value"], each["source"])
        for each in run("config", everywhere, "--parameter", "seed=9", "--json").document["values"]
        if each["key"] == "parameter"
    ]
    assert values == [("top_k=3", "Modelfile"), ("seed=9", "typed")]


def test_for_people(everywhere, alone):
    """Each option is a line, with its value and where it comes from; the file is not needed."""
    ran = run("config", "release", everywhere, "--out", "dist")
    assert ran.code == 0
    lines = {line.split()[0]: line for line in ran.stdout.splitlines() if line[:1].strip()}
    assert lines["out"].endswith("dist  (typed)")
    assert lines["base"].endswith("b:1  (environment OLLAMA_PACK_BASE)")
    assert lines["report"].endswith("true  (default)")
    assert "required" not in run("config", "release").stderr


def test_secrets_are_not_shown(everywhere, monkeypatch):
    """Of a token or password it is told that it is set; an address is shown without its password."""
    secret = "s3cr3t-w0rd"
    for name in ("HF_TOKEN", "OLLAMA_API_KEY", "OLLAMA_PACK_KEY_PASSWORD"):
        monkeypatch.setenv(name, secret)
    monkeypatch.setenv("HF_ENDPOINT", f"https://ada:{secret}@hub.example.com")
    monkeypatch.setenv("OLLAMA_PACK_SYSTEM", f"https://ada:{secret}@example.com is my page")
    ran = run("config", everywhere)
    document = run("config", everywhere, "--json")
    assert secret not in ran.stdout + ran.stderr + document.stdout + document.stderr
    assert ran.stdout.count("set, and not shown") == 3
    assert "hub.example.com" in ran.stdout


def test_a_variable_of_no_option(everywhere, monkeypatch):
    """A variable that is misspelt has no effect, and is told with the one that was meant."""
    monkeypatch.setenv("OLLAMA_PACK_BSAE", "x")
    assert run("config", everywhere, "--json").document["unknown"] == [
        {"variable": "OLLAMA_PACK_BSAE", "nearest": "OLLAMA_PACK_BASE"}
    ]
    assert (
        "OLLAMA_PACK_BSAE stands for no option; did you mean OLLAMA_PACK_BASE?"
        in run("config", everywhere).stdout
    )


@pytest.mark.parametrize(
    "words",
    [
        ("build", "--fly"),
        ("build", "x", "--via", "pigeon"),
        ("versions", "a", "b"),
        ("bases", "--json", "a", "b"),
    ],
    ids=" ".join,
)
def test_wrong_words(words):
    """Words that the command would not take are wrong usage here, too."""
    assert run("config", *words).code == 2
