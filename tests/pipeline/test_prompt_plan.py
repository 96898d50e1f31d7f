"""The prompts of a build, mended: the first way that is proved is taken, and what the author set stays."""

import json
from datetime import datetime

import pytest
import scratch_store
from recipes import write_adapter, write_model
from scratch_store import BASE_TAG
from terminal import run

from ollama_pack.chat.renderer import chat_renderer
from ollama_pack.chat.stops import stop_of
from ollama_pack.chat.trained import ChatTemplate
from ollama_pack.modelfile.parser import parse

JINJA = "<s>{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}<assistant>"
OTHER = "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}[assistant]"
ALL_AT_ONCE = "{{ messages | map(attribute='content') | join(messages | length | string) }}"
"""What stands between two texts depends on how many there are, which no TEMPLATE can say."""

EQUAL = "18 of 18 conversations byte-equal"
TOOLS = "{# tools #}."
KEY = "tokenizer.chat_template"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return an adapter that was trained with `JINJA`, far from any daemon."""
    for name, value in {"OLLAMA_HOST": "127.0.0.1:9", "OLLAMA_MODELS": tmp_path / "models"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(scratch_store, "details_of", lambda _: {})
    directory = write_adapter(tmp_path / "ada")
    (directory / "chat_template.jinja").write_text(JINJA, "utf-8")
    return directory


@pytest.fixture
def based(tmp_path):
    """Return a function that writes a base with a chat template, or without one."""
    return lambda jinja="": write_model(tmp_path / "base.gguf", keys=[(KEY, jinja)] if jinja else [])


def built(home, base, *more):
    """Build, and return what ran and the Modelfile that was written."""
    ran = run("build", home, "--base", base, "--via", "store", *more)
    path = home / "ollama" / "Modelfile.txt"
    return ran, parse(path.read_text("utf-8"), where="") if ran.code == 0 else None


def test_what_is_equal_is_inherited(home, based):
    """Where the chat template of the base is the trained one, nothing is added."""
    ran, modelfile = built(home, based(JINJA))
    assert EQUAL in ran.stderr
    assert modelfile.values("TEMPLATE") == modelfile.values("PARSER") == ()


def test_a_base_without_a_format_gets_a_template(home, based):
    """A TEMPLATE is derived, a second build changes nothing, and the base is not warned about."""
    ran, modelfile = built(home, based())
    assert (EQUAL in ran.stderr, "--template" in ran.stderr) == (True, False), ran.stderr
    assert "is derived from" in ran.stderr
    assert modelfile.value("TEMPLATE")
    assert modelfile.values("PARSER") == ()
    again, same = built(home, based())
    assert (again.code, same) == (0, modelfile)
    assert not (home / "Modelfile.txt").exists()
    document = run("modelfile", home, "--base", based(), "--json").document
    assert parse(document["text"], where="").values("TEMPLATE") == modelfile.values("TEMPLATE")


def test_a_chat_template_that_would_overrule_it(home, based):
    """PARSER passthrough puts the TEMPLATE in force, and what that costs is told."""
    ran, modelfile = built(home, based(OTHER + TOOLS))
    assert (EQUAL in ran.stderr, "tools" in ran.stderr) == (True, True), ran.stderr
    assert modelfile.value("PARSER") == "passthrough"


def test_the_template_of_the_base_is_left_out(home, based, tmp_path):
    """A TEMPLATE that an installed base has is left out if its GGUF has the trained chat template."""
    scratch_store.add_base(tmp_path / "models", based(JINJA), template="{{ .Prompt }}")
    ran, modelfile = built(home, BASE_TAG)
    assert (EQUAL in ran.stderr, "left out" in ran.stderr) == (True, True), ran.stderr
    assert modelfile.values("TEMPLATE") == ("",)
    manifest = tmp_path / "models/manifests/registry.ollama.ai/library/ada/latest"
    kinds = {each["mediaType"].rpartition(".")[2] for each in json.loads(manifest.read_text())["layers"]}
    assert "template" not in kinds
    assert {"model", "adapter"} <= kinds


def test_create_gets_a_template_where_it_would_guess(home, based):
    """Ollama's own create guesses a TEMPLATE over a GGUF file, so it is given one."""
    text = run("modelfile", home, "--base", based(JINJA)).stdout
    assert "TEMPLATE" not in text
    ran = run("build", home, "--base", based(JINJA), "--via", "create", "--dry-run")
    assert "is derived from" in ran.stderr


def test_what_cannot_be_mended_ends_the_build(home, based):
    """Nothing is written, and what the hint says builds the model and tells the difference."""
    (home / "chat_template.jinja").write_text(ALL_AT_ONCE, "utf-8")
    ran, _ = built(home, based(OTHER), "--json")
    assert (ran.code, ran.document["code"]) == (5, "prompt")
    assert "--prompt inherit" in ran.document["try"]
    assert not (home / "ollama" / "adapter_model.gguf").exists()
    inherited, modelfile = built(home, based(OTHER), "--prompt", "inherit")
    assert (inherited.code, EQUAL in inherited.stderr) == (0, False)
    assert "^" in inherited.stderr
    assert modelfile.values("TEMPLATE") == ()


@pytest.mark.parametrize("who", ["author", "option"])
def test_what_was_set_is_only_compared(home, based, who):
    """A TEMPLATE of the author's, or of an option, stays as it is; --prompt trained refuses it."""
    own = "{{ .System }}{{ .Prompt }}"
    (home / "Modelfile.txt").write_text(f'FROM x\nTEMPLATE """{own}"""\n' if who == "author" else "FROM x\n")
    more = ("--template", "alpaca") if who == "option" else ()
    ran, modelfile = built(home, based(), *more)
    assert (ran.code, EQUAL in ran.stderr) == (0, False)
    assert who == "option" or modelfile.value("TEMPLATE") == own
    assert built(home, based(), *more, "--prompt", "trained")[0].code == 5


def test_trained_needs_a_proof(home, based):
    """Without a chat template nothing is proved, so --prompt trained fails; its hint builds the model."""
    assert built(home, based(), "--prompt", "trained")[0].code == 0
    (home / "chat_template.jinja").unlink()
    assert built(home, based(), "--prompt", "trained")[0].code == 5
    assert built(home, based(), "--prompt", "inherit")[0].code == 0


def test_a_begin_of_text_that_nobody_wrote(home, based):
    """What the tokenizer of the base adds is told, since no Ollama leaves it out; --strict refuses it."""
    (home / "chat_template.jinja").write_text(JINJA.removeprefix("<s>"), "utf-8")
    ran, modelfile = built(home, based(OTHER))
    assert (ran.code, EQUAL in ran.stderr) == (0, False)
    assert "adds <s> in front" in ran.stderr
    assert modelfile.value("TEMPLATE")
    for option in (("--strict",), ("--prompt", "trained")):
        assert built(home, based(OTHER), *option)[0].code == 5


def test_a_system_message_that_is_left_out(home, based):
    """A SYSTEM that the trained chat template does not show is told; one that it shows is not."""
    said = "leaves out the system message"
    assert said not in built(home, based(), "--system", "Be kind.")[0].stderr
    silent = JINJA.replace("for m in messages", "for m in messages if m.role != 'system'")
    (home / "chat_template.jinja").write_text(silent, "utf-8")
    ran, _ = built(home, based(), "--system", "Be kind.")
    assert (EQUAL in ran.stderr, said in ran.stderr) == (True, True), ran.stderr
    assert said not in built(home, based())[0].stderr


def test_stops_follow_the_answers(home, based, tmp_path):
    """What ends an answer is a stop, beside those of the base; one that the author set is left alone."""
    roles = "<s>{% for m in messages %}{{ m.role | upper }}: {{ m.content }}\n{% endfor %}ASSISTANT: "
    (home / "chat_template.jinja").write_text(roles, "utf-8")
    scratch_store.add_base(tmp_path / "models", based(OTHER), template="{{ .Prompt }}")
    ran, modelfile = built(home, BASE_TAG)
    assert ran.code == 0, ran.stderr
    assert modelfile.values("PARAMETER", "stop") == ("<|end|>", "USER:")
    (home / "Modelfile.txt").write_text("FROM x\nPARAMETER stop Q\n")
    _, modelfile = built(home, BASE_TAG)
    assert modelfile.values("PARAMETER", "stop") == ("Q",)


@pytest.mark.parametrize(
    ("end", "stop"),
    [
        ("<|im_end|>\n<|im_start|>", "<|im_end|>"),
        (" </s><s>", "</s>"),
        ("<|gone|>", ""),
        ("\n\n### Q:\n", "### Q:"),
        ("\n", ""),
    ],
)
def test_a_stop_is_a_token_or_a_line(end, stop):
    """A mark counts if it is a token of the vocabulary; without marks, the line of the next turn counts."""
    text = "{% for m in messages %}{{ m.content }}{{ END }}{% endfor %}"
    template = ChatTemplate(text.replace("END", repr(end)))
    with chat_renderer(datetime(2026, 1, 2)) as renderer:
        assert stop_of(template, renderer, {"<|im_end|>", "</s>", "<s>"}) == stop
