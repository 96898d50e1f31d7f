"""README.md, read: what it names exists, and what exists it names."""

import contextlib
import io
import re
from pathlib import Path

import click
import pytest
from recipes import write_adapter

from ollama_pack import errors
from ollama_pack.arch.table import all_archs
from ollama_pack.base.catalog import load_catalog
from ollama_pack.base.lookup import read_base_by_name
from ollama_pack.cli.app import COMMAND_GROUPS, main
from ollama_pack.deliver.choose import DELIVERIES
from ollama_pack.modelfile.template import TemplateFields, template_names

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")

ELSEWHERE = {"--help", "--version"}
"""Options of the group."""

FORBIDDEN = re.compile(
    r"\b(amazing|blazing(ly)?|cutting-edge|delve|easily|effortless(ly)?|elegant|leverage|powerful|production-ready"
    r"|robust|seamless(ly)?|simply|state-of-the-art|supercharge|unleash|world-class)\b"
)
"""Words that praise instead of telling."""


def options_of(name):
    """Return every spelling of every option of a command."""
    command = main.get_command(click.Context(main), name)
    return {spelling for option in command.params for spelling in (*option.opts, *option.secondary_opts)}


ALL_OPTIONS = set().union(*(options_of(name) for name in COMMAND_GROUPS)) | ELSEWHERE


def code_of(text):
    """Return what is written as code: blocks without their fences, and spans, each on a line."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    return "\n".join(
        [*blocks, *re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))]
    )


def calls():
    """Return the words of every call of ollama-pack, wherever it stands."""
    lines = code_of(README).replace("\\\n", " ").splitlines()
    found = [re.search(r"(?:^|[$`/ ])ollama-pack (.*)", line) for line in lines]
    return [re.split(r"#|(?:^| )> ", match[1])[0].split() for match in found if match]


SHOWN = (("inspect", "examples/ada-lovelace-lora"), ("checkpoints", "tests/goldens/run/babbage-lora"))


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_what_is_shown_is_printed(words, monkeypatch):
    """What the README shows of a run is what the command prints."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        main(words, standalone_mode=False)
    assert f"$ ollama-pack {' '.join(words)}\n{printed.getvalue()}" in README


def test_commands_exist():
    """Every `ollama-pack X` is a command or an option of the group."""
    called = {words[0] for words in calls() if words}
    assert called - COMMAND_GROUPS.keys() - ELSEWHERE == set(), (
        "README.md calls a command that does not exist"
    )


def test_commands_are_told():
    """Every command stands in the README."""
    called = {words[0] for words in calls() if words}
    assert COMMAND_GROUPS.keys() - called == set(), "README.md leaves a command out: show `ollama-pack NAME`"


def test_options_of_calls_exist():
    """Every option of a call is one that command has."""
    wrong = [
        f"ollama-pack {words[0]} {word}"
        for words in calls()
        for word in words[1:]
        if word.startswith("-") and word.partition("=")[0] not in options_of(words[0]) | ELSEWHERE
    ]
    assert wrong == [], "README.md shows options that do not exist"


def test_options_exist():
    """Every `--option` the prose names is an option of some command."""
    named = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", "\n".join(re.findall(r"`([^`\n]+)`", README))))
    assert named - ALL_OPTIONS == set(), "README.md names an option that does not exist"


def test_options_of_build_are_told():
    """Every option of build is named, by one of its spellings."""
    command = main.get_command(click.Context(main), "build")
    options = [option for option in command.params if isinstance(option, click.Option)]
    code = code_of(README)
    untold = [
        option.opts[0]
        for option in options
        if not any(re.search(rf"(?<![\w-]){re.escape(spelling)}(?![\w-])", code) for spelling in option.opts)
    ]
    assert untold == [], "README.md leaves options of build out"


def rows_below(header):
    """Return the cells of a table, which must have exactly this header."""
    lines = README.splitlines()
    assert header in lines, f"README.md needs a table with the header {header}"
    rows = []
    for line in lines[lines.index(header) + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return rows


def test_architectures():
    """The table of architectures is the table of the code."""
    rows = rows_below("| architecture | Hugging Face classes |")
    told = {name: {cell.strip("` ") for cell in classes.split(",")} for name, classes in rows}
    assert told == {arch.name: set(arch.hf_classes) for arch in all_archs()}, (
        "README.md's architectures are not those of FAMILIES"
    )


def test_deliveries():
    """Every value of --via is explained, and none that does not exist."""
    assert {way for way in DELIVERIES if f"`{way}`" in README} == set(DELIVERIES), (
        "README.md leaves a delivery out"
    )
    shown = {words[words.index("--via") + 1] for words in calls() if "--via" in words[:-1]}
    assert shown <= set(DELIVERIES), "README.md shows a --via that does not exist"


def test_extras():
    """The paragraph on extras names those of pyproject.toml, all of them."""
    told = re.search(r"^- \*\*Extras\*\*.*?(?=^- )", README, re.M | re.S)
    table = (
        (ROOT / "pyproject.toml")
        .read_text("utf-8")
        .partition("[project.optional-dependencies]\n")[2]
        .partition("\n[")[0]
    )
    extras = set(re.findall(r"^([a-z]+) = ", table, re.M))
    assert set(re.findall(r"`([a-z]+)`", told[0])) == extras
    assert set(re.findall(r"ollama-pack\[([a-z]+)\]", README)) <= extras


def test_exit_codes():
    """Every exit code is told."""
    told = re.search(r"[Ee]xit codes?.*?(?:\n\n|\Z)", README, re.S)
    assert told, "README.md must tell the exit codes, in a paragraph that begins with these words"
    for kind in errors.PackError.__subclasses__():
        assert re.search(rf"\b{kind.exit_code}\b", told[0]), (
            f"README.md leaves exit code {kind.exit_code} out"
        )


def test_templates():
    """Every template is named, and every field of one."""
    for name in (*template_names(), *TemplateFields.__dataclass_fields__):
        assert re.search(rf"\b{name}\b", README), f"README.md leaves {name} out of its part on templates"


def test_number_of_bases():
    """The number of bases is the catalog's."""
    told = re.search(r"catalog of ([0-9]+) bases", README)
    assert told, 'README.md must say "catalog of N bases"'
    assert int(told[1]) == len(load_catalog())


def test_files_exist():
    """Every link and every file of the checkout that is named is there."""
    linked = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", README)
    named = re.findall(r"`((?:examples|docs|bench|templates|tests|ollama_pack)/[\w./-]*)`", README)
    papers = re.findall(r"(?<![/\w])([A-Z]{4,}\.md)\b", README)
    missing = [name for name in (*linked, *named, *papers) if not (ROOT / name).exists()]
    assert missing == [], "README.md names files that are not there"


def test_make_targets_exist():
    """Every `make X` is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    called = set(re.findall(r"^(?:\$ )?make ([a-z]+)\b", code_of(README), re.M))
    assert {"demo", "test"} <= called
    assert called - targets == set(), "README.md calls targets the Makefile does not have"


def test_first_command_comes_early():
    """A reader sees the first command within ten lines."""
    first = next((n for n, line in enumerate(README.splitlines(), 1) if "ollama-pack build" in line), None)
    assert first is not None, "README.md never shows ollama-pack build"
    assert first <= 10, f"README.md shows its first command on line {first}; 10 is the last it may be"


def test_nothing_is_left_to_fill_in():
    """No placeholder is left, and every fence is closed."""
    assert re.findall(r"@[A-Z]+@|\bTODO\b|\bFIXME\b|\bXXX\b|\bTBD\b", README) == [], (
        "README.md is not finished"
    )
    assert README.count("\n```") % 2 == 0, "README.md leaves a block of code open"


def test_no_forbidden_words():
    """Nothing praises itself, and no path of somebody's machine is left."""
    assert [match[0] for match in FORBIDDEN.finditer(README.lower())] == [], (
        "README.md praises instead of telling"
    )
    assert re.findall(r"/(?:root|work|home|Users|tmp)/[\w./-]+", README) == [], (
        "README.md has a path of a machine"
    )


def test_python_example(tmp_path, monkeypatch):
    """The Python example runs as it stands, in a directory with an adapter of the name it gives."""
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    assert len(blocks) == 1, "README.md must have one block of Python"
    (code,) = blocks
    directory = re.search(r'Path\("([\w-]+)"\)', code)
    base = re.search(r'base="([^"]+)"', code)
    assert directory, 'the example must name its directory as Path("…")'
    sizes = read_base_by_name(base[1] if base else "smollm2:135m")
    write_adapter(
        tmp_path / directory[1],
        base=sizes,
        modules=("q_proj", "v_proj"),
        layers=(0,),
        config={"base_model_name_or_path": sizes.source_id},
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HOME", str(tmp_path))
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    assert "2 weights" in said.getvalue()
    assert (tmp_path / directory[1] / "ollama" / "adapter_model.gguf").exists()


@pytest.mark.parametrize("command", COMMAND_GROUPS)
def test_usage_is_the_commands_own(command):
    """Where the table shows arguments, they are the ones the command takes."""
    cell = re.search(rf"^\| `ollama-pack {command}([^`]*)` \|", README, re.M)
    assert cell, f"README.md needs a row `ollama-pack {command} …` in its table of commands"
    context = click.Context(main.get_command(click.Context(main), command))
    arguments = [param for param in context.command.params if isinstance(param, click.Argument)]
    metavars = [
        param.make_metavar(context) if takes_context(param) else param.make_metavar() for param in arguments
    ]
    assert cell[1].replace("\\|", "|").split() == " ".join(metavars).split()


def takes_context(parameter):
    """Return whether this click, 8.2 or later, wants a context to spell a parameter."""
    return parameter.make_metavar.__code__.co_argcount > 1
