"""The prompts of a model, shown: on both sides, for any release, and for a conversation of the user's."""

import json

import pytest
import scratch_store
from recipes import write_model
from terminal import run

JINJA = "<s>{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
GO = "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}<assistant>"
CHAT = [("tokenizer.chat_template", JINJA)]


@pytest.fixture
def trained(ada):
    """Return an adapter with a chat template."""
    (ada / "chat_template.jinja").write_text(JINJA, "utf-8")
    return ada


@pytest.fixture
def chatting(tmp_path):
    """Return a base whose chat template is the trained one."""
    return write_model(tmp_path / "chat.gguf", keys=CHAT)


def test_an_adapter_golden(trained, chatting, golden):
    """What is equal is told with the figure, and one conversation is shown with its special tokens marked."""
    ran = run("prompt", trained, "--base", chatting, columns=100)
    assert (ran.code, ran.stderr) == (0, "")
    golden("cli/prompt.txt", ran.stdout.replace(str(trained.parent), "TMP"))


def test_the_first_difference_is_shown(trained, chatting):
    """A conversation that differs stands on both sides, with a mark between the lines that differ."""
    ran = run("prompt", trained, "--base", chatting, "--template", "chatml", "-v", columns=100)
    assert "0 of 18" in ran.stdout
    assert "one turn: different" in ran.stdout
    assert any("  !  " in line for line in ran.stdout.splitlines())
    assert ran.stdout.count(": different") >= 18


def test_who_renders_depends_on_the_release(trained, tmp_path, monkeypatch):
    """A chat template that can do more overrules the TEMPLATE since 0.30, and --against says for whom."""
    base = write_model(tmp_path / "tools.gguf", keys=[("tokenizer.chat_template", JINJA + "{# tools #}.")])
    (trained / "Modelfile.txt").write_text(f'FROM x\nTEMPLATE """{GO}"""\n', "utf-8")
    found = {
        against: run("prompt", trained, "--base", base, "--against", against, "--json").document
        for against in ("0.12", "0.33.1")
    }
    assert {key: (each["sender"], each["ollama"]) for key, each in found.items()} == {
        "0.12": ("go", "0.12.0"),
        "0.33.1": ("jinja", "0.33.1"),
    }
    assert [each["proofs"][0]["passed"] for each in found.values()] == [True, False]
    monkeypatch.setenv("OLLAMA_GO_TEMPLATE", "1")
    forced = run("prompt", trained, "--base", base, "--against", "0.33.1", "--json").document
    assert (forced["sender"], forced["proofs"][0]["passed"]) == ("go", True)


def test_a_conversation_of_the_user(trained, chatting, tmp_path):
    """--messages shows that conversation; the SYSTEM is in front of it, as the daemon puts it."""
    path = tmp_path / "talk.json"
    path.write_text(json.dumps({"messages": [{"role": "user", "content": "Ada?"}]}))
    words = ("prompt", trained, "--base", chatting, "--messages", path, "--system", "Be kind.")
    given = run(*words, "--json").document["conversations"][-1]
    text = "<s><system>Be kind.<user>Ada?<assistant>"
    assert given == {"kind": "given", "name": "talk.json", "equal": True, "trained": text, "sent": text}
    assert "talk.json: equal" in run(*words).stdout


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{", "talk.json"),
        ("[]", "messages"),
        ('{"messages": "hello"}', "messages"),
        ('[{"role": "user"}]', "messages[0]"),
        ('[{"role": "user", "content": 1}]', "messages[0]"),
        ('{"messages": [{"role": "user", "content": ""}], "tools": [1]}', "tools"),
    ],
)
def test_messages_that_are_none(chatting, tmp_path, text, where):
    """A file that is no conversation is damaged input, and the place is named."""
    path = tmp_path / "talk.json"
    path.write_text(text)
    ran = run("prompt", chatting, "--messages", path)
    assert (ran.code, where in ran.stderr) == (3, True), ran.stderr


def test_a_file_and_an_installed_model(chatting, models, monkeypatch):
    """For a GGUF file and for a model, the chat template in the GGUF is compared."""
    assert run("prompt", chatting, "--json").document["proofs"][0]["passed"]
    monkeypatch.setattr(scratch_store, "details_of", lambda _: {})
    scratch_store.add_base(models, chatting, tag="tiny", template="{{ .Prompt }}")
    installed = run("prompt", "tiny", "--json").document
    assert (installed["sender"], installed["proofs"][0]["passed"]) == ("go", False)


def test_what_an_installed_adapter_was_trained_with_is_not_claimed(chatting, models, monkeypatch):
    """The template in the GGUF is called that, in the line, the figure and the columns."""
    monkeypatch.setattr(scratch_store, "details_of", lambda _: {})
    scratch_store.add_base(models, chatting, tag="tiny")
    for shown in (run("prompt", chatting), run("prompt", "tiny")):
        lines = shown.stdout.splitlines()
        assert lines[0].startswith("in GGUF   the chat template in "), shown.stdout
        assert lines[1].strip().startswith("ollama-pack prompt DIR ")
        assert " of 18 conversations byte-equal with the chat template in the GGUF" in shown.stdout
        assert not any(line.startswith("trained ") for line in lines)


def test_what_cannot_be_shown(ada, tiny_gguf, models):
    """Without a chat template, a model, a daemon or a release, the error says what is missing."""
    codes = {
        "no-chat-template": [("prompt", ada, "--base", tiny_gguf), ("prompt", tiny_gguf)],
        "no-such-directory": [("prompt", "nobody")],
    }
    for code, calls in codes.items():
        assert {run(*call, "--json").document["code"] for call in calls} == {code}
    assert run("prompt", tiny_gguf, "--against", "tomorrow").code == 2
    assert run("prompt", tiny_gguf, "--against", "daemon").code == 6


def test_controls_of_a_terminal_are_escaped(tmp_path):
    """What a terminal would interpret in a stranger's template is shown as an escape."""
    base = write_model(tmp_path / "red.gguf", keys=[("tokenizer.chat_template", "\x1b[31m<s>\u202e")])
    shown = run("prompt", base).stdout
    assert "\\x1b[31m[<s>]\\u202e" in shown
    assert "\x1b" not in shown


def test_go_prints_a_template_that_is_proved(trained, chatting, tmp_path):
    """What --go prints makes the trained prompts; what cannot be derived, or is not equal, is an error."""
    text = run("prompt", trained, "--base", chatting, "--go").stdout
    (trained / "Modelfile.txt").write_text(f'FROM x\nTEMPLATE """{text}"""\n', "utf-8")
    shown = run("prompt", trained, "--base", chatting, "--json").document
    assert (shown["sender"], shown["proofs"][0]["passed"], shown["changes"]) == ("go", True, [])
    for jinja, code in (
        ("{{ messages | length }}", "no-derived-template"),
        (JINJA.replace("m.content", "m.content | replace('```', '~~~')"), "prompt"),
    ):
        (trained / "chat_template.jinja").write_text(jinja, "utf-8")
        assert run("prompt", trained, "--base", chatting, "--go", "--json").document["code"] == code


def test_what_is_missing_is_named(smol, trained, chatting):
    """A chat template, then a base: each error says what to add, and with both the prompts are shown."""
    ran = run("prompt", smol, "--json")
    path = smol / "chat_template.jinja"
    assert (ran.code, ran.document["try"]) == (2, f"save the chat template of the training as {path}")
    path.write_text(JINJA, "utf-8")
    ran = run("prompt", smol, "--json")
    assert (ran.code, ran.document["try"]) == (6, "--base FILE.gguf  names the file of the base")
    ran = run("prompt", trained, "--base", chatting)
    assert (ran.code, "18 of 18" in ran.stdout) == (0, True), ran.stderr
