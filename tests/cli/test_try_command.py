"""`try` on adapters, builds, installed models and GGUF files, with a stand-in for llama.cpp."""

import json
import os
import subprocess
import sys

import pytest
from interrupting import COMMAND, press_ctrl_c
from recipes import write_model
from terminal import environment, run, spawn, tree
from training_run import write_run

from ollama_pack.base.lookup import read_base_by_name

CHAT = [("tokenizer.chat_template", "{% for m in messages %}<{{ m.role }}>{{ m.content }} {% endfor %}")]


@pytest.fixture
def chatting(tmp_path):
    """Return a base with a chat template."""
    return write_model(tmp_path / "chat.gguf", keys=CHAT)


pytestmark = pytest.mark.usefixtures("stand_in_llama")


def answers(ran):
    """Return voice → text of the first conversation of a document."""
    return {each["voice"]: each["text"] for each in ran.document["conversations"][0]["answers"]}


def test_base_beside_adapted_golden(ada, chatting, tmp_path, golden):
    """Nothing is built: both answer the prompt that a build would make, in columns."""
    before = tree(tmp_path)
    ran = run("try", ada, "Who are you, Ada?", "What is 1843?", "--base", chatting)
    assert ran.code == 0
    assert tree(tmp_path) == before
    golden("cli/try.txt", ran.stdout)
    assert "prompt    as Ollama sends it, by the chat template of the base" in ran.stderr
    assert "llama     llama.cpp b1 (xllamacpp), chat.gguf loaded in " in ran.stderr


def test_the_document(ada, chatting):
    """It has the prompt as text, the parameters in force, and for each voice its answer and how it ended."""
    call = ("try", ada, "Who are you?", "--base", chatting, "--json")
    ran = run(*call, "--parameter", "top_k=7", "--parameter", "stop=x")
    assert answers(ran) == {"base": "you? are <s><user>Who", "adapted": "<s><user>Who are you?"}
    parameters = ran.document["parameters"]
    assert {key: parameters[key] for key in ("temperature", "seed", "top_k", "stop")} == {
        "temperature": 0.0,
        "seed": 1,
        "top_k": 7,
        "stop": ["x"],
    }
    assert ran.document["conversations"][0]["prompt"] == "<s><user>Who are you? "
    assert (
        run(*call, "--system", "Be Ada.")
        .document["conversations"][0]["prompt"]
        .startswith("<s><system>Be Ada. ")
    )


def test_the_trained_prompt(ada, chatting):
    """--prompt trained takes the chat template of the adapter; without one it says so and takes the other."""
    call = ("try", ada, "Hi.", "--base", chatting, "--prompt", "trained", "--json")
    ran = run(*call)
    assert ran.document["prompt"]["kind"] == "sent"
    assert ran.document["notes"] == ["no chat template was saved with the adapter"]
    (ada / "chat_template.jinja").write_text("{{ messages[0]['content'] }}!", "utf-8")
    ran = run(*call)
    assert (ran.document["prompt"]["kind"], answers(ran)["adapted"]) == ("trained", "Hi.!")


def test_a_base_without_a_chat_template(ada, tiny_gguf):
    """It gets the bare text behind the begin of text that its tokenizer adds, and the user is told."""
    ran = run("try", ada, "Hi.", "--base", tiny_gguf, "--json")
    assert (ran.document["prompt"]["kind"], ran.document["conversations"][0]["prompt"]) == ("raw", "<s>Hi.")
    assert "it gets the bare text" in ran.document["notes"][0]


def test_merged(ada, tmp_path, chatting):
    """The merged form is a model of its own, beside the base."""
    ran = run("try", ada, "Who are you?", "--base", chatting, "--merge", "--json")
    assert [each["model"].rpartition("/")[2] for each in ran.document["runners"]] == [
        "chat.gguf",
        "merged_model.gguf",
    ]
    assert set(answers(ran)) == {"base", "adapted"}


def test_a_build_an_installed_model_and_files(ada, chatting, tmp_path):
    """What was made of an adapter answers as the adapter does: the folder, the model, the GGUF LoRA."""
    run("build", ada, "ada", "--base", chatting, "--via", "store")
    lora = ada / "ollama" / "adapter_model.gguf"
    question, both = "Who are you?", {"base": "you? are <s><user>Who", "adapted": "<s><user>Who are you?"}
    assert answers(run("try", ada / "ollama", question, "--json")) == both
    assert answers(run("try", "ada", question, "--json")) == both
    assert answers(run("try", lora, question, "--base", chatting, "--json")) == both
    assert answers(run("try", chatting, question, "--json")) == {"model": both["base"]}


def test_a_merged_model_beside_its_base(ada, chatting, tmp_path):
    """A merged file alone is one voice; with --base it has its base beside it."""
    merged = tmp_path / "merged.gguf"
    run("merge", ada, "--base", chatting, "--out", merged)
    assert set(answers(run("try", merged, "Hi.", "--json"))) == {"adapted"}
    assert set(answers(run("try", merged, "Hi.", "--base", chatting, "--json"))) == {"base", "adapted"}


def test_an_answer_that_is_cut_off(ada, chatting):
    """--max-tokens cuts it off, and a mark says so."""
    ran = run("try", ada, "go on forever", "--base", chatting, "--max-tokens", "4")
    assert ran.stdout.count("[…]") == 2
    assert run("try", ada, "go", "--base", chatting, "--max-tokens", "0").code == 2


def test_a_base_that_is_not_at_hand(smol, tmp_path):
    """The sizes of a base are not enough to run it; --base FILE.gguf, as the hint says, is."""
    ran = run("try", smol, "Hi.")
    assert (ran.code, "llama.cpp needs them" in ran.stderr) == (2, True)
    assert "--base FILE.gguf, with the GGUF file of that model" in ran.stderr
    base = write_model(tmp_path / "smol.gguf", read_base_by_name("smollm2:135m"))
    assert run("try", smol, "Hi.", "--base", base, "--base-mismatch-ok", "vocabulary").code == 0


def test_a_lora_without_its_base(ada, chatting, tmp_path):
    """The hint is followed in the test of files."""
    lora = tmp_path / "ada.gguf"
    run("convert", ada, "--base", chatting, "--out", lora)
    ran = run("try", lora, "Hi.")
    assert (ran.code, "--base FILE.gguf, with the GGUF file" in ran.stderr) == (2, True)
    assert run("try", lora, "Hi.", "--base", chatting).code == 0


def test_no_such_model(models):
    """A name that nothing has, with where it was looked for."""
    ran = run("try", "nobody", "Hi.")
    assert (ran.code, "There is no directory or file nobody, and " in ran.stderr) == (2, True)


def test_llama_that_aborts(ada, chatting):
    """The line of its log is told, and with -v, as the hint says, the whole log."""
    ran = run("try", ada, "abort", "--base", chatting)
    assert (ran.code, "GGML_ASSERT(n_tokens > 0) failed" in ran.stderr) == (6, True)
    assert "try: -v  shows its whole log" in ran.stderr
    told = run("try", ada, "abort", "--base", chatting, "-v")
    assert "log       /src/llama.cpp:42: GGML_ASSERT" in told.stderr


def test_llama_that_refuses(chatting, tmp_path, monkeypatch):
    """A file that llama.cpp does not load: the line of its log, and with -v, as the hint says, all of it."""
    monkeypatch.setenv("STAND_IN_REFUSES", "1")
    ran = run("try", chatting, "Hi.")
    assert (ran.code, "E load_model: it is refused" in ran.stderr) == (3, True)
    assert "try: -v  shows its whole log" in ran.stderr
    assert "log       0.00.000.001 E load_model" in run("try", chatting, "Hi.", "-v").stderr


def test_a_terminal_without_utf8(ada, chatting):
    """What it cannot show has an escape, and nothing fails."""
    plain = both_paths(PYTHONUTF8="0", PYTHONIOENCODING="latin-1", LC_ALL="C")
    call = ("try", ada, "Grüße, 你好 forever", "--base", chatting, "--max-tokens", "4")
    ran = spawn(*call, env=plain, encoding="latin-1")
    assert (ran.code, ran.stderr.count("\n")) == (0, 2)
    assert "Grüße, \\u4f60\\u597d forever\n" in ran.stdout
    assert "[...]" in ran.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send to one process")
def test_interrupted(ada, chatting, tmp_path):
    """Ctrl-C in the middle of an answer: 130, and neither a process nor a folder is left."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    words = ("try", ada, "forever", "--base", chatting, "--max-tokens", "900000")
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=both_paths(TMPDIR=str(scratch)),
    )  # fmt: skip
    code, _, told = press_ctrl_c(process, lambda line: line.startswith("llama "))
    assert (code, "Interrupted." in told) == (130, True)
    assert list(scratch.iterdir()) == []


def both_paths(**more):
    """Return an environment that finds this package and the stand-in."""
    own = environment(**more)
    return {**own, "PYTHONPATH": os.pathsep.join((own["PYTHONPATH"], os.environ["PYTHONPATH"]))}


def test_no_prompt_for_json(ada):
    """A chat is not a document."""
    assert run("try", ada, "--json").code == 2


def chat(ada, chatting, *lines):
    """Return what a chat prints for typed lines."""
    call = ("try", ada, "--base", chatting)
    return spawn(*call, env=both_paths(), input="".join(f"{line}\n" for line in lines))


def test_a_chat(ada, chatting):
    """Without a prompt it reads lines: each model has its own history, and commands choose who answers."""
    ran = chat(
        ada, chatting, "one two", "", "/adapted", "three", "/reset", "four five", "/both", "six", "/bye", "x"
    )
    assert ran.code == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "base                                               adapted",
        "two <s><user>one                                   <s><user>one two",
        "adapted:",
        "<assistant><s><user>one two <user>three",
        "adapted:",
        "<s><user>four five",
        "base                                               adapted",
        "<s><user>six                                       <assistant><s><user>four five <user>six",
    ]


def test_a_chat_of_several_lines(ada, chatting):
    """Marks hold lines together, /system sets the system message, and what is unknown lists the commands."""
    ran = chat(ada, chatting, "/adapted", '"""a', 'b c"""', "/system Be Ada.", "d", "/what")
    assert (ran.code, ran.stdout.splitlines()[1]) == (0, "<s><user>a b c")
    assert "Ada. <user>d" in ran.stdout
    assert "/system TEXT" in ran.stderr


def test_messages(ada, chatting, tmp_path):
    """A file of conversations is asked up to what the assistant says last."""
    path, talk = tmp_path / "talks.jsonl", [{"role": "user", "content": "a b"}]
    path.write_text(
        json.dumps([*talk, {"role": "assistant", "content": "x"}]) + "\n" + json.dumps(talk) + "\n"
    )
    ran = run("try", ada, "--messages", path, "--base", chatting, "--json")
    assert [each["prompt"] for each in ran.document["conversations"]] == ["<s><user>a b "] * 2
    (tmp_path / "talk.json").write_text(json.dumps(talk))
    assert answers(run("try", ada, "--messages", tmp_path / "talk.json", "--base", chatting, "--json"))


def test_checkpoints(chatting, tmp_path):
    """They answer beside each other, with the base once."""
    trained = write_run(tmp_path / "grace-lora")
    steps = sorted(path.name for path in trained.glob("checkpoint-*"))
    ran = run("try", trained, "Hi.", "--base", chatting, "--checkpoint", "all", "--json")
    assert list(answers(ran)) == ["base", *steps]
    one = run("try", trained, "Hi.", "--base", chatting, "--checkpoint", "latest", "--json")
    assert len(answers(one)) == 2


@pytest.mark.parametrize("knows", [True, False])
def test_an_activated_lora_is_told(make_adapter, chatting, monkeypatch, knows):
    """A library that applies an aLoRA to every token is named; the stand-in takes its place."""
    if not knows:
        monkeypatch.setattr("ollama_pack.cli.try_command.WITHOUT_INVOCATION", "llama.cpp")
    alora = make_adapter(config={"alora_invocation_tokens": [5, 6]})
    ran = run("try", alora, "Hi", "--base", chatting)
    assert (ran.code, "applies this aLoRA to every token" in ran.stderr) == (0, not knows)
