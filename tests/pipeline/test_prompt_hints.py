"""What the messages about prompts tell a user to do, done."""

import fake_daemon
import pytest
from recipes import write_adapter, write_model
from terminal import run

ALL_AT_ONCE = "{{ messages | map(attribute='content') | join(messages | length | string) }}"
DATED = (
    "<s>{{ strftime_now('%d %B %Y') }}"
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
)
TRIMMED = "<s>{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}<assistant>"
OTHER = "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}[assistant]"
TOO_OLD = {"date": (DATED, "0.10.1", "0.11.0"), "trimming": (TRIMMED, "0.5.12", "0.5.13")}
"""A chat template, a release that lacks what a TEMPLATE for it needs, and the first one that has it."""

OWN = 'FROM [[ base|quoted ]]\nTEMPLATE """{{ range .Messages }}{{ .Content }}{{ end }}"""\n'


@pytest.fixture
def home(tmp_path):
    """Return the directory of an adapter."""
    return write_adapter(tmp_path / "ada")


@pytest.fixture
def base(tmp_path):
    """Return a base with a chat template that is another one."""
    return write_model(tmp_path / "base.gguf", keys=[("tokenizer.chat_template", OTHER)])


def trained_with(home, jinja):
    """Save a chat template with the adapter."""
    (home / "chat_template.jinja").write_text(jinja, "utf-8")


@pytest.mark.parametrize("command", ["build", "prompt"])
def test_a_template_of_ones_own(home, base, tmp_path, command):
    """Where none can be derived, --template FILE builds with what the user wrote, and compares it."""
    trained_with(home, ALL_AT_ONCE)
    failed = {
        "build": ("build", home, "--base", base, "--via", "folder"),
        "prompt": ("prompt", home, "--base", base, "--go"),
    }
    ran = run(*failed[command], "--json")
    assert ran.code != 0
    assert "--template FILE" in ran.document["try"]
    own = tmp_path / "own.txt"
    own.write_text(OWN, "utf-8")
    words = ("--base", base, "--template", own)
    built = run("build", home, *words, "--via", "folder")
    assert built.code == 0, built.stderr
    assert "conversations byte-equal" in built.stderr
    assert "{{ .Content }}" in (home / "ollama" / "Modelfile.txt").read_text("utf-8")


def test_a_difference_without_strict(home, base):
    """--strict refuses what differs, and without it the same build is made and the difference is told."""
    trained_with(home, DATED)
    words = ("build", home, "--base", base, "--via", "folder", "--template", "chatml")
    ran = run(*words, "--strict", "--json")
    assert (ran.code, ran.document["try"]) == (5, "without --strict, the difference is only reported")
    ran = run(*words)
    assert (ran.code, "0 of 18 conversations" in ran.stderr, "^" in ran.stderr) == (0, True, True)


@pytest.mark.parametrize("what", TOO_OLD)
def test_a_release_that_lacks_a_function(home, base, tmp_path, monkeypatch, what):
    """A TEMPLATE that the daemon would refuse is not derived for it; the release that takes it is named."""
    jinja, before, first = TOO_OLD[what]
    trained_with(home, jinja)
    with fake_daemon.running(tmp_path / "models", "0.12") as daemon:
        daemon.becomes(before)
        monkeypatch.setenv("OLLAMA_HOST", daemon.address)
        monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))
        words = ("build", home, "--base", base, "--via", "pull")
        ran = run(*words, "--json")
        assert (ran.code, ran.document["code"]) == (5, "prompt")
        assert f"Ollama {first} or later" in ran.document["try"]
        daemon.becomes(first)
        ran = run(*words)
        assert (ran.code, "is derived from" in ran.stderr) == (0, True), ran.stderr


def test_the_release_that_prints_it(home, base):
    """--go names the release that takes the TEMPLATE, and prints it for that one."""
    trained_with(home, DATED)
    words = ("prompt", home, "--base", base, "--go")
    ran = run(*words, "--against", "0.10", "--json")
    assert (ran.code, ran.document["try"]) == (4, "--against 0.11.0  prints it")
    assert "currentDate" in run(*words, "--against", "0.11.0").stdout
