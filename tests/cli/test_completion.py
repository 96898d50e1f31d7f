"""Completion as the shells ask for it: by the script that each of them is given."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time

import pytest
from recipes import write_adapter
from terminal import CODE, add_base, environment
from training_run import write_run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="NOT TESTED: click completes in shells of Unix")

VARIABLE = "_OLLAMA_PACK_COMPLETE"


def needs(shell):
    """Return the mark of a test that needs a shell."""
    return pytest.mark.skipif(
        shutil.which(shell) is None, reason=f"NOT TESTED in {shell}: it is not installed"
    )


@pytest.fixture
def program(tmp_path, models, tiny_gguf, alone):
    """Return the environment of a shell with the command, two models, a run and a directory of adapters."""
    tools = tmp_path / "tools"
    tools.mkdir()
    code = "from ollama_pack.cli import main; main(prog_name='ollama-pack')"
    (tools / "ollama-pack").write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    (tools / "ollama-pack").chmod(0o755)
    for name in ("ada", "babbage"):
        add_base(models, tiny_gguf, name, "latest")
    library = models / "manifests" / "registry.ollama.ai" / "library"
    shutil.copy(library / "ada" / "latest", library / "ada" / "checkpoint-3")
    write_run(alone / "run-lora")
    write_adapter(alone / "many" / "style")
    write_adapter(alone / "many" / "facts")
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    return environment(PATH=path, PYTHONPATH=str(CODE), OLLAMA_HOST="127.0.0.1:9", OLLAMA_MODELS=str(models))


BASH = r"""
compopt() { printf 'compopt %s %s\n' "$1" "$2"; }
eval "$(_OLLAMA_PACK_COMPLETE=bash_source ollama-pack)"
COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
_ollama_pack_completion ollama-pack
printf '%s\n' "${COMPREPLY[@]}"
"""


def in_bash(program, line):
    """Return what bash offers for a line, as its script computes it."""
    return ran(program, "bash", "--norc", "-c", BASH, "bash", line)


def in_zsh(program, line):
    """Return what the program answers to zsh's script: the values of its triples of lines."""
    return answer(program, line, "zsh", str(len(shlex.split(line + "x")) - 1))[1::3]


def in_fish(program, line):
    """Return what the program answers to fish's script: the values of its lines."""
    last = "" if line.endswith(" ") else shlex.split(line)[-1]
    return [each.split(",", 1)[1].partition("\t")[0] for each in answer(program, line, "fish", last)]


def answer(program, line, shell, word):
    asked = {"COMP_WORDS": line, "COMP_CWORD": word, VARIABLE: f"{shell}_complete"}
    return ran(program | asked, "ollama-pack")


def ran(env, *words):
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


ASKED = [
    ("ollama-pack vers", ["versions"]),
    ("ollama-pack versions ", ["ada", "ada:checkpoint-3", "babbage"]),
    ("ollama-pack rollback bab", ["babbage"]),
    ("ollama-pack remove -y ada", ["ada", "ada:checkpoint-3"]),
    ("ollama-pack build run-lora --base smollm2:1", ["smollm2:135m", "smollm2:1.7b"]),
    ("ollama-pack build run-lora --base HuggingFaceTB/SmolLM2-135M", ["HuggingFaceTB/SmolLM2-135M"]),
    ("ollama-pack build run-lora --template vic", ["vicuna"]),
    ("ollama-pack build run-lora --checkpoint ", ["latest", "best", "all", "10", "20", "30"]),
    ("ollama-pack build --checkpoint ", ["latest", "best", "all"]),
    ("ollama-pack build none-such --checkpoint ", ["latest", "best", "all"]),
    ("ollama-pack build many --adapter s", ["style"]),
    ("ollama-pack archs qwen3m", ["qwen3moe"]),
    ("ollama-pack verify bab", ["babbage"]),
    ("ollama-pack build run-lora --via fo", ["folder"]),
]


@needs("bash")
@pytest.mark.parametrize(("line", "offered"), ASKED)
def test_bash(program, line, offered):
    """Bash's script offers the names; where it split the word at a colon, what follows the colon."""
    colon = line.rpartition(" ")[2].rfind(":") + 1
    found = [each for each in in_bash(program, line) if not each.startswith("compopt")]
    assert set(found) >= {each[colon:] for each in offered}
    assert all((line.rpartition(" ")[2][:colon] + each).startswith(line.rpartition(" ")[2]) for each in found)


@pytest.mark.parametrize("shell", [in_zsh, in_fish])
@pytest.mark.parametrize(("line", "offered"), ASKED[1:8])
def test_zsh_and_fish(program, shell, line, offered):
    """The answers to the scripts of zsh and fish have the whole names; zsh wants some colons escaped."""
    found = [each.replace("\\:", ":") for each in shell(program, line)]
    assert set(found) >= set(offered)


@needs("bash")
@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("ollama-pack build ", "plusdirs"),
        ("ollama-pack convert run", "plusdirs"),
        ("ollama-pack build run-lora --base ./ti", "default"),
        ("ollama-pack build run-lora --template ./", "default"),
        ("ollama-pack inspect ./", "default"),
    ],
)
def test_paths_are_left_to_the_shell(program, line, option):
    """Where a path may stand, bash completes it by itself."""
    assert f"compopt -o {option}" in in_bash(program, line)


@needs("bash")
def test_a_store_that_is_named(program, tmp_path, tiny_gguf):
    """With --store before it, a model is one of that store."""
    add_base(tmp_path / "other", tiny_gguf, "grace", "latest")
    assert in_bash(program, f"ollama-pack versions --store {tmp_path / 'other'} ") == ["grace"]


@needs("bash")
@pytest.mark.parametrize(
    "line", ["ollama-pack build 'my run", 'ollama-pack build "a b" --checkpoint la', "x \\"]
)
def test_a_line_that_is_not_whole(program, line):
    """An open quote or a backslash at the end is no error."""
    in_bash(program, line)


@needs("bash")
def test_what_cannot_be_read_is_not_offered(program, tmp_path):
    """A store that is none, an address that is none: nothing is offered, and nothing is printed."""
    (tmp_path / "file").write_text("")
    for change in ({"OLLAMA_MODELS": str(tmp_path / "file")}, {"OLLAMA_HOST": "http://256.256.256.256:x"}):
        assert in_bash(program | change, "ollama-pack versions ") == [""]


@needs("bash")
def test_in_a_real_bash(program):
    """The key completes in a bash at a terminal, behind the colon of a model's name too."""
    pty = pytest.importorskip("pty", reason="there are no terminals to make here")
    ours, theirs = pty.openpty()
    env = program | {"PS1": "$ ", "TERM": "dumb", "INPUTRC": "/dev/null"}
    shell = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=env,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        os.write(ours, b'eval "$(_OLLAMA_PACK_COMPLETE=bash_source ollama-pack)"; echo rea""dy\n')
        read_until(ours, "ready")
        os.write(ours, f"ollama-pack versions --store {program['OLLAMA_MODELS']} ada:ch\t\n".encode())
        read_until(ours, r"current +[0-9a-f]{12}.*ada:checkpoint-3")
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)


def read_until(terminal, pattern):
    """Return what a terminal shows until a line matches, or fail after a minute."""
    import select

    shown, end = "", time.monotonic() + 60
    while not re.search(pattern, shown):
        ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        assert ready, shown
        shown += os.read(terminal, 65536).decode()
    return shown


@needs("zsh")
def test_the_script_of_zsh(program):
    """Zsh takes its script, and knows the function for the command."""
    script = 'autoload -U compinit && compinit -u; eval "$(_OLLAMA_PACK_COMPLETE=zsh_source ollama-pack)"'
    assert ran(program, "zsh", "-f", "-c", f"{script}; echo $_comps[ollama-pack]") == [
        "_ollama_pack_completion"
    ]


@needs("fish")
def test_fish_completes(program, tmp_path):
    """Fish completes a line with the file that README says to write."""
    folder = tmp_path / "home" / ".config" / "fish" / "completions"
    folder.mkdir(parents=True)
    script = f"{VARIABLE}=fish_source ollama-pack > {folder}/ollama-pack.fish"
    env = program | {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "home" / ".config")}
    ran(env, "sh", "-c", script)
    lines = ran(env, "fish", "-c", "complete -C 'ollama-pack versions ada:'")
    assert [line.partition("\t")[0] for line in lines] == ["ada:checkpoint-3"]
