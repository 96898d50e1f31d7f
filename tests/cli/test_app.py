"""The group: help, versions, wrong usage, and where errors become exit codes."""

from pathlib import Path

import click
import numpy as np
import pytest
from recipes import write_adapter
from terminal import RUNNER, run, spawn

from ollama_pack import __version__, errors
from ollama_pack.cli.app import COMMAND_GROUPS, Commands, main

WORDS = {"group": [], **{name: [name] for name in COMMAND_GROUPS}}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_help_golden(words, golden):
    """The help of the group and of every command is what a human has read."""
    ran = run(*words, "--help", columns=100)
    assert (ran.code, ran.stderr) == (0, "")
    golden(f"help/{'_'.join(words) or 'ollama-pack'}.txt", ran.stdout)


@pytest.mark.parametrize("name", COMMAND_GROUPS)
def test_help(name):
    """Every command has an example that calls it, -h, and an explanation of each of its options."""
    command = main.get_command(click.Context(main), name)
    assert f"ollama-pack {name}" in command.help
    assert "Example" in command.help
    for option in command.params:
        assert isinstance(option, click.Argument) or option.help, f"{name} {option.opts}"
    assert run(name, "-h").stdout == run(name, "--help").stdout


@pytest.mark.parametrize("name", COMMAND_GROUPS)
def test_examples_parse(name):
    """What an example types is accepted by the command it calls."""
    command = main.get_command(click.Context(main), name)
    lines = [line.split() for line in command.help.replace('"You are Ada."', "Ada").splitlines()]
    examples = [words[1:] for words in lines if words[:1] == ["ollama-pack"]]
    assert examples
    for called, *words in examples:
        for word in words:  # a directory that is named must be there
            if word.endswith("/"):
                Path(word).mkdir(exist_ok=True)
        other = main.get_command(click.Context(main), called)
        with other.make_context(called, words, parent=click.Context(main)):
            pass


@pytest.mark.parametrize("name", COMMAND_GROUPS)
def test_examples_are_shown_as_they_are_typed(name):
    """On a terminal of 80 columns, an example of a help page stands in one line, whole."""
    command = main.get_command(click.Context(main), name)
    typed = [line.strip() for line in command.help.splitlines() if line.strip().startswith("ollama-pack ")]
    shown = [line.strip() for line in run(name, "--help", columns=80).stdout.splitlines()]
    assert [line for line in typed if line not in shown] == []
    several = "Examples:" if len(typed) > 1 else "Example:"
    assert several in shown


def test_commands():
    """The group lists its commands in the order a user meets them, each with one line."""
    text = run("--help").stdout
    places = [text.index(f"\n  {name} ") for name in COMMAND_GROUPS]
    assert places == sorted(places)
    assert all(line in text for line in COMMAND_GROUPS.values())


def test_exit_codes_are_told():
    """The help tells every exit code there is."""
    text = run("--help").stdout
    for kind in errors.PackError.__subclasses__():
        assert f"  {kind.exit_code}  " in text


def test_version():
    """--version prints name and version on stdout."""
    ran = run("--version")
    assert (ran.code, ran.stdout, ran.stderr) == (0, f"ollama-pack, version {__version__}\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["fly"],
        ["build"],
        ["build", "x", "--fly"],
        ["build", "x", "--via", "pigeon"],
        ["build", "x", "a", "b"],
    ],
    ids=" ".join,
)
def test_wrong_usage(words):
    """A wrong command line is told on stderr with exit code 2, and where help is."""
    ran = run(*words)
    assert (ran.code, ran.stdout) == (2, "")
    assert "for help" in ran.stderr


@pytest.mark.parametrize(("typed", "meant"), [("biuld", "build"), ("Inspect", "inspect")])
def test_a_misspelt_command(typed, meant):
    """The nearest command is named, and none where none is near."""
    assert f"Did you mean {meant}?" in run(typed).stderr
    assert "Did you mean" not in run("fly").stderr


def test_no_command():
    """Without a command the help is shown; click 8.2 made that a wrong usage."""
    ran = run()
    assert ran.code in (0, 2)
    assert "Usage: ollama-pack" in ran.stdout + ran.stderr


@pytest.mark.parametrize("kind", errors.PackError.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_kind_of_error(kind):
    """What is wrong, where and what to try go to stderr, and the kind gives the exit code."""
    ran = raising(kind("It broke.", where="a.gguf", hint="mend it"))
    assert (ran.exit_code, ran.stdout) == (kind.exit_code, "")
    assert ran.stderr == "Error: It broke.\n  in:  a.gguf\n  try: mend it\n"


def test_interrupted():
    """Ctrl-C ends with the exit code of shells and one sentence."""
    ran = raising(KeyboardInterrupt())
    assert (ran.exit_code, ran.stdout) == (130, "")
    assert ran.stderr == "Interrupted. No incomplete file is left.\n"


@pytest.mark.parametrize(
    "bug", [ValueError("a bug"), OSError(28, "full", "file.gguf"), OSError(5, "odd", "x")]
)
def test_bugs_stay_bugs(bug):
    """What is not a PackError is not dressed up as one: exit code 1, and its traceback."""
    ran = raising(bug)
    assert (ran.exit_code, ran.exception) == (1, bug)


def raising(error):
    """Run a group like ours whose one command raises."""

    @click.command("x")
    def command():
        raise error

    class One(Commands):
        get_command = staticmethod(lambda _context, _name: command)

    return RUNNER.invoke(One("ollama-pack"), ["x"])


HEAVY = ("torch", "llama_cpp", "gguf", "ollama", "httpx", "numpy", "jinja2", "rich")


@pytest.mark.parametrize("words", [["--help"], ["build", "--help"], ["--version"]], ids=" ".join)
def test_help_loads_nothing_heavy(words):
    """Help is instant because no heavy library is imported for it."""
    code = (
        "import sys, runpy, atexit\n"
        f"atexit.register(lambda: print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr))\n"
        "runpy.run_module('ollama_pack', run_name='__main__')"
    )
    ran = spawn(*words, code=code)
    assert (ran.code, ran.stderr.splitlines()[-1]) == (0, "[]")


RUN = "runpy.run_module('ollama_pack', run_name='__main__')"


def test_help_loads_little_beside_click():
    """`--help` loads at most half as many modules again as click alone: no busy machine bends a count."""
    count = "print(len(sys.modules), file=sys.stderr)"
    alone = spawn(code=f"import sys, click\n{count}")
    told = spawn("--help", code=f"import sys, runpy, atexit\natexit.register(lambda: {count})\n{RUN}")
    loaded, click_alone = (int(ran.stderr.splitlines()[-1]) for ran in (told, alone))
    assert click_alone < loaded <= 1.5 * click_alone


@pytest.mark.parametrize(("outtype", "loaded"), [("f16", False), ("bf16", True), ("q8_0", False)])
def test_the_gguf_library_is_loaded_to_cast(make_adapter, tiny_gguf, outtype, loaded):
    """A conversion to f16 or q8_0 does without it: importing it takes a third of a small one."""
    words = ("convert", make_adapter(rank=32, dtype="F16"), "--base", tiny_gguf, "--outtype", outtype)
    tell = "atexit.register(lambda: print('gguf' in sys.modules, file=sys.stderr))"
    ran = spawn(*words, code=f"import sys, runpy, atexit\n{tell}\n{RUN}")
    assert (ran.code, ran.stderr.splitlines()[-1]) == (0, str(loaded))


def test_an_error_is_a_document_too(tmp_path):
    """With ``--json`` a script reads what went wrong where it would have read the result."""
    ran = run("build", tmp_path / "nowhere", "--json")
    assert (ran.code, ran.document["kind"], ran.document["exit_code"]) == (2, "error", 2)
    assert ran.document["what"] == "There is no such directory."
    assert (ran.document["code"], ran.document["found"]) == ("no-such-directory", {})
    assert "There is no such directory." in ran.stderr


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("fly", "--json"), "ollama-pack"),
        (("--fly", "--json"), "ollama-pack"),
        (("build", "--json"), "ollama-pack build"),
        (("build", "x", "--via", "pigeon", "--json"), "ollama-pack build"),
        (("build", "x", "a", "b", "--json"), "ollama-pack build"),
    ],
)
def test_wrong_usage_is_a_document_too(words, where):
    """Whatever is wrong with the words, a script that asked for JSON gets it, and the exit code."""
    ran = run(*words)
    assert (ran.code, ran.document["kind"], ran.document["exit_code"]) == (2, "error", 2)
    assert (ran.document["code"], ran.document["where"]) == ("usage", where)
    assert "for help" in ran.stderr


@pytest.mark.parametrize("command", ["build", "inspect"])
def test_a_document_names_everything(command, tmp_path):
    """What the text shortens to a count is whole in the document: each tensor under what it is."""
    norms = {f"base_model.model.model.{'x' * n}norm.weight": np.ones(4) for n in range(40)}
    ran = run(command, write_adapter(tmp_path / "ada", extra=norms), "--json")
    problem = ran.document if command == "build" else ran.document["problem"]
    assert ran.code == 4
    assert "16 more; --json lists them all" in problem["what"]
    assert problem["found"] == {"norm": sorted(norms)}
