"""Where the value of an option comes from, for every option: typed, the environment, ollama-pack.toml."""

import itertools
import json
import os
import re
from pathlib import Path

import click
import pytest
from recipes import write_adapter
from terminal import CODE, run

from ollama_pack.cli.app import COMMAND_GROUPS, main
from ollama_pack.cli.option_names import (
    OWN_MEANING,
    has_own_meaning,
    key_of,
    options_of_all_commands,
    options_of_command,
    variable_of,
)
from ollama_pack.cli.settings import SettingsContext, origin_of

COMMANDS = {name: main.get_command(click.Context(main), name) for name in COMMAND_GROUPS}
EACH = [(name, key_of(option)) for name, each in COMMANDS.items() for option in options_of_command(each)]
FORMS = {
    "weight": ("1", "2", "3"),
    "scale": ("1.5", "2.5", "3.5"),
    "min-kept": ("0.1", "0.2", "0.3"),
    "parameter": ("seed=1", "seed=2", "seed=3"),
    "merge-size": ("1GB", "2GB", "3GB"),
    "write": ("junit=a.xml", "sarif=b.json", "junit=c.xml"),
}
"""Values of options that do not take every text."""


def values_of(option):
    """Return three values of an option as they are typed; a flag has two, its default last."""
    if option.is_flag:
        return (False, True, False) if option.default is True else (True, False, True)
    if isinstance(option.type, click.Choice):
        return tuple(itertools.islice(itertools.cycle(option.type.choices), 1, 4))
    if isinstance(option.type, click.types.IntParamType | click.types.IntRange):
        return ("1", "2", "3")
    return FORMS.get(key_of(option), ("one", "two", "three"))


def option_of(command, key):
    """Return an option of a command."""
    return next(each for each in options_of_command(COMMANDS[command]) if key_of(each) == key)


def typed(option, value):
    """Return the words that give an option a value; a flag without a name for that value has none."""
    if not option.is_flag:
        return [f"--{key_of(option)}", value]
    return [f"--{key_of(option)}"] if value else list(option.secondary_opts)


def needed(command, key):
    """Return the words without which a command does not run, but for one of its options."""
    words = []
    for param in COMMANDS[command].params:
        if isinstance(param, click.Argument) and param.required:
            words.append("oci://example.com/a/b:1" if param.name == "place" else "x")
        elif param.required and key_of(param) != key:
            words += [f"--{key_of(param)}", "x"]
    return words


def write_file(option, command, value, folder):
    """Write an ollama-pack.toml that gives an option a value, in the table that counts for it."""
    key, own = key_of(option), has_own_meaning(command, key_of(option))
    table = f"commands.{command}" if own or key == "yes" else "options"
    text = json.dumps(value)
    if key == "parameter":
        name, _, number = value.partition("=")
        text = f"{{ {name} = {number} }}"
    (folder / "ollama-pack.toml").write_text(f"[{table}]\n{key} = {text}\n")


def group():
    """Return a context of the group; what its commands note in it is theirs alone."""
    return click.Context(main, **main.context_settings)


def context_of(command, words):
    """Return the context of a call."""
    return COMMANDS[command].make_context(command, list(words), parent=group())


@pytest.mark.parametrize(("command", "key"), EACH, ids=[" --".join(each) for each in EACH])
def test_the_order(command, key, alone, monkeypatch):
    """What is typed counts most, then the environment, then the file; and each says where it comes from."""
    option = option_of(command, key)
    first, second, third = values_of(option)
    words, variable = needed(command, key), variable_of(command, key)

    def value(*more):
        context = context_of(command, [*words, *more])
        return context.params[option.name], origin_of(context, option)

    expected = {each: value(*typed(option, each))[0] for each in (first, second, third)}
    if key != "yes":  # nobody may say so for a person but a person
        write_file(option, command, third, alone)
        found, origin = value()
        assert found == expected[third]
        assert origin.startswith("ollama-pack.toml, line 2: ")
    monkeypatch.setenv(variable, str(second).lower() if option.is_flag else second)
    assert value() == (expected[second], variable)
    assert value(*typed(option, first)) == (expected[first], "" if typed(option, first) else variable)
    monkeypatch.setenv(variable, "")
    assert key == "yes" or value()[0] == expected[third], "an empty variable says nothing"


def test_a_variable_means_one_thing():
    """Options of one variable are of one kind, and no two options of a command share one."""
    kinds = {}
    for command, key in EACH:
        option = option_of(command, key)
        choices = tuple(getattr(option.type, "choices", ()))
        kind = (option.is_flag, option.multiple, type(option.type), choices, option.metavar)
        assert kinds.setdefault(variable_of(command, key), kind) == kind, (command, key)
    assert all(key in options_of_all_commands()[1][name] for key, own in OWN_MEANING.items() for name in own)
    for command in COMMANDS:
        names = [variable_of(command, key) for name, key in EACH if name == command]
        assert len(set(names)) == len(names)
    reserved = {"OLLAMA_PACK_CONFIG", "OLLAMA_PACK_KEY_PASSWORD"}
    assert not reserved & {variable_of(command, key) for command, key in EACH}


def test_values_of_several_lines(monkeypatch):
    """An option that may be repeated takes one value from each line of its variable."""
    monkeypatch.setenv("OLLAMA_PACK_PARAMETER", "stop=a b\nseed=1\nstop=c")
    pairs = context_of("build", ["x"]).params["parameters"]
    assert pairs == (("stop", "a b"), ("seed", "1"), ("stop", "c"))


def test_parameters_are_joined(alone, monkeypatch):
    """Each key of --parameter has the values of the place that counts most for it."""
    (alone / "ollama-pack.toml").write_text(
        '[options]\nparameter = { seed = 1, num_ctx = 2048, stop = ["a", "b"] }\n'
        "[commands.build]\nparameter = { num_ctx = 4096, top_k = 7 }\n"
    )
    monkeypatch.setenv("OLLAMA_PACK_PARAMETER", "top_k=8")
    context = context_of("build", ["x", "--parameter", "seed=9"])
    found = context.params["parameters"]
    assert sorted(found) == sorted(
        [("seed", "9"), ("top_k", "8"), ("num_ctx", "4096"), ("stop", "a"), ("stop", "b")]
    )
    assert dict(context_of("modelfile", ["x"]).params["parameters"])["num_ctx"] == "2048"


def test_a_wrong_value_says_where_it_comes_from(alone, monkeypatch):
    """The message names the variable, or the line of the file, and the exit code is that of wrong usage."""
    monkeypatch.setenv("OLLAMA_PACK_OUTTYPE", "f8")
    ran = run("build", "x")
    assert (ran.code, "It comes from OLLAMA_PACK_OUTTYPE." in ran.stderr) == (2, True)
    monkeypatch.delenv("OLLAMA_PACK_OUTTYPE")
    (alone / "ollama-pack.toml").write_text("[options]\n\nscale = 0\nweight = nan\n")
    ran = run("build", "x", "--json")
    assert ran.document["what"].endswith("It comes from ollama-pack.toml, line 4: options.weight.")


@pytest.mark.parametrize("how", ["variable", "file"])
def test_json_by_a_setting(how, alone, monkeypatch):
    """Where a setting asks for JSON, an error is a document too, as a usage error and as any other."""
    if how == "variable":
        monkeypatch.setenv("OLLAMA_PACK_JSON", "1")
    else:
        (alone / "ollama-pack.toml").write_text("[options]\njson = true\n")
    assert run("build", "none").document["kind"] == "error"
    assert run("build", "none", "--fly").code == 2
    assert run("build", "none", "--via", "pigeon").document["code"] == "usage"
    (alone / "ollama-pack.toml").write_text("[options")
    assert how == "file" or run("build", "none").document["code"] == "damaged"


def test_a_setting_is_what_was_given(monkeypatch, ada, tiny_gguf):
    """A load proof that a variable asks for is one that was asked for: it is not left out in silence."""
    monkeypatch.setenv("OLLAMA_PACK_LOAD", "true")
    monkeypatch.setitem(os.environ, "OLLAMA_PACK_BASE", str(tiny_gguf))
    typed_one = run("build", ada, "--load")
    assert run("build", ada).code == typed_one.code


def test_completion_reads_no_file(alone):
    """To complete what is typed, no file is read, whatever is in it."""
    (alone / "ollama-pack.toml").write_text("[")
    context = COMMANDS["build"].make_context("build", ["x"], parent=group(), resilient_parsing=True)
    assert isinstance(context, SettingsContext)
    assert context.config is None


def test_another_file(tmp_path, alone, monkeypatch):
    """--config and OLLAMA_PACK_CONFIG name another file; its paths are seen from where it lies."""
    (alone / "ollama-pack.toml").write_text('[options]\nbase = "wrong:1b"\n')
    place = tmp_path / "project"
    write_adapter(place / "ada-lora")
    (place / "tiny.gguf").write_bytes(b"x")
    config = place / "ollama-pack.toml"
    config.write_text(
        '[options]\nbase = "tiny.gguf"\ntemplate = "vicuna"\n[commands.build]\nout = "made"\n'
        '[models.ada]\ndirectory = "ada-lora"\nscale = 2\n'
    )
    context = context_of("build", [str(place / "ada-lora"), "--config", str(config)])
    assert context.params["base"] == str(place / "tiny.gguf")
    assert context.params["template"] == "vicuna"
    assert context.params["out"] == place / "made"
    assert (context.params["scale"], context.params["name_option"]) == (2.0, "ada")
    monkeypatch.setenv("OLLAMA_PACK_CONFIG", str(config))
    assert context_of("build", ["other"]).params["base"] == str(place / "tiny.gguf")
    assert context_of("build", ["other"]).params["scale"] == 1.0
    assert run("build", "x", "--config", place / "none.toml").code == 2


def table_of_options():
    """Return the table of docs/config.md: each option with its variable, and the commands that have it."""
    rows = {}
    for command, key in EACH:
        rows.setdefault((key, variable_of(command, key)), []).append(command)
    lines = ["| key | variable | commands |", "|---|---|---|"]
    for (key, variable), commands in sorted(rows.items()):
        lines.append(f"| `{key}` | `{variable}` | {', '.join(commands)} |")
    return "\n".join(lines)


def test_golden_table_of_options(request):
    """docs/config.md lists every option with its variable; --update-goldens writes the table anew."""
    page = CODE / "docs" / "config.md"
    before, marks = page.read_text("utf-8"), ("<!-- options -->\n", "\n<!-- end of options -->")
    start, end = before.index(marks[0]) + len(marks[0]), before.index(marks[1].strip())
    after = before[:start] + table_of_options() + "\n" + before[end:]
    if request.config.getoption("--update-goldens"):
        page.write_text(after, "utf-8")
    assert page.read_text("utf-8") == after


def test_the_file_of_the_page(alone):
    """What docs/config.md shows as a file is one: every table and value of it is accepted."""
    from ollama_pack.cli.config_file import read_config_file

    (text,) = re.findall(r"```toml\n(.*?)```", (CODE / "docs" / "config.md").read_text("utf-8"), re.S)
    (alone / "ollama-pack.toml").write_text(text)
    config = read_config_file(Path("ollama-pack.toml"))
    assert [model.name for model in config.models] == ["ada-lovelace", "babbage"]
    context = context_of("release", ["babbage-lora"])
    assert (context.params["base"], context.params["checkpoint"]) == ("vicuna:7b", "best")
    assert context.params["parameters"] == (("temperature", "0.3"), ("stop", "<|im_end|>"))
    assert str(context_of("test", ["ada-lovelace-lora"]).params["cases"]) == "ada.yaml"
