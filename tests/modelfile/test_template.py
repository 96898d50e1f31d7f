"""Templates: found by name or path, filled in a sandbox, brought together with an author's Modelfile."""

import subprocess
import sys
from pathlib import Path

import pytest

from ollama_pack.errors import InputError, PackError, UnsupportedError
from ollama_pack.modelfile import template as template_module
from ollama_pack.modelfile.parser import command_problems, parameters, parse
from ollama_pack.modelfile.syntax import print_modelfile
from ollama_pack.modelfile.template import (
    Template,
    TemplateFields,
    compose_modelfile,
    fill_template,
    find_template,
    template_names,
)

GOLDENS = Path(__file__).parents[1] / "goldens" / "modelfiles"
FILLED = TemplateFields(
    base="llama2:7b",
    adapter="./ada-lovelace.gguf",
    system='You are "Ada".\nBe brief.',
    parameters=(("temperature", "0.7"), ("stop", " END")),
    name="ada-lovelace",
)
AUTHOR = """\
# Ada's own file

from  vicuna:7b
# Her voice.
SYSTEM You are Ada.
PARAMETER stop "USER:"
TEMPLATE {{ .Prompt }}
MESSAGE user Hello
"""


def template(text: str) -> Template:
    """Return a template of the user's own."""
    return Template("mine", "mine.Modelfile", text)


@pytest.fixture
def golden(request):
    """Compare a text with a golden file, or write it anew."""

    def compare(name: str, text: str) -> None:
        path = GOLDENS / f"{name}.txt"
        if request.config.getoption("--update-goldens", default=False):
            path.write_bytes(text.encode())
        assert text == path.read_bytes().decode()

    return compare


def test_names():
    """The shipped templates are these; a new one needs a golden of its own."""
    assert template_names() == (
        "alpaca",
        "chatml",
        "gemma",
        "inherit",
        "llama2",
        "llama3",
        "mistral",
        "phi3",
        "vicuna",
        "zephyr",
    )
    assert {path.stem.removesuffix("-author") for path in GOLDENS.iterdir()} == set(template_names())


@pytest.mark.parametrize("name", template_names())
def test_filled(name, golden):
    """A shipped template, filled, is the Modelfile a person has looked at."""
    golden(name, fill_template(find_template(name), FILLED))


@pytest.mark.parametrize("name", template_names())
def test_filled_says_everything(name):
    """A shipped template, filled, is a Modelfile without warnings that says what the fields say."""
    modelfile = parse(fill_template(find_template(name), FILLED), where=name)
    assert command_problems(modelfile) == ()
    said = [modelfile.value(command) for command in ("FROM", "ADAPTER", "SYSTEM")]
    assert said == [FILLED.base, FILLED.adapter, FILLED.system]
    assert parameters(modelfile)["temperature"] == 0.7
    assert modelfile.values("PARAMETER", "stop")[-1] == " END"


@pytest.mark.parametrize("name", template_names())
def test_filled_with_little(name):
    """With a base alone there is no ADAPTER and no SYSTEM, and the TEMPLATE starts and ends in Go."""
    modelfile = parse(fill_template(find_template(name), TemplateFields(base="x")), where=name)
    assert {found.name for found in modelfile.commands} <= {"FROM", "TEMPLATE", "PARAMETER"}
    assert (
        bool(modelfile.value("TEMPLATE"))
        == (name != "inherit")
        == bool(modelfile.values("PARAMETER", "stop"))
    )
    assert modelfile.value("TEMPLATE").startswith("{{") == (name != "inherit")


@pytest.mark.parametrize("name", template_names())
def test_shipped_files(name):
    """A shipped file says in its first line where its format is from, and has Unix line ends."""
    text = find_template(name).text
    assert text.startswith("# ")
    assert text.endswith("[% endfor %]\n")
    assert "\r" not in text


def test_the_folder_has_templates_only():
    """Nothing but templates lies in the folder; a .py file there would break editable installs."""
    folder = template_module._folder()
    assert {path.suffix for path in folder.iterdir()} == {".Modelfile"}


def test_installed_templates_come_first(tmp_path, monkeypatch):
    """Templates inside the installed package are taken before those of a checkout."""
    package = tmp_path / "ollama_pack"
    (tmp_path / "templates").mkdir()
    package.mkdir()
    monkeypatch.setattr(template_module, "__file__", str(package / "modelfile" / "template.py"))
    (tmp_path / "templates" / "beside.Modelfile").touch()
    assert template_names() == ("beside",)
    (package / "templates").mkdir()
    (package / "templates" / "inside.Modelfile").touch()
    assert template_names() == ("inside",)


def test_a_file_of_the_users_own(tmp_path, monkeypatch):
    """A path names a file, in any encoding a Modelfile may have; ./vicuna is never the shipped one."""
    monkeypatch.chdir(tmp_path)
    Path("vicuna").write_bytes("FROM [[ base ]]é".encode("utf-16"))
    assert find_template("./vicuna") == Template("./vicuna", "./vicuna", "FROM [[ base ]]é")
    assert find_template("vicuna").where == "vicuna.Modelfile"


@pytest.mark.parametrize("name", ["vicunia", "Vicuna", ".", "a\0b"])
def test_not_found(name):
    """An unknown name is refused with all names and the nearest."""
    with pytest.raises(InputError) as caught:
        find_template(name)
    assert "chatml" in caught.value.where
    assert caught.value.hint == f"--template {'vicuna' if 'icun' in name else 'inherit'}"


@pytest.mark.parametrize(
    ("text", "kind", "where", "said"),
    [
        pytest.param("[% if %]", InputError, "line 1", "cannot be read", id="damaged syntax"),
        pytest.param("\n[[ base|quotd ]]", InputError, "line 2", "quotd", id="an unknown filter"),
        pytest.param("\n\n[[ base.size ]]", InputError, "line 3", "no attribute", id="an unknown attribute"),
        pytest.param("[[ 1 // 0 ]]", InputError, "line 1", "zero", id="a division by zero"),
        pytest.param("[[ base + 1 ]]", InputError, "line 1", "str", id="a sum of text and number"),
        pytest.param("[% include 'a' %]", InputError, "line 1", "a", id="an include"),
        pytest.param("\n[[ base.__class__.__mro__ ]]", UnsupportedError, "line 2", "unsafe", id="a way out"),
        pytest.param("[[ range(10 ** 9) ]]", InputError, "line 1", "too big", id="an endless range"),
        pytest.param(
            "[[ ''|quoted ]]", UnsupportedError, "", "empty text", id="a value no Modelfile carries"
        ),
    ],
)
def test_render_refuses(text, kind, where, said):
    """A template that is damaged or reaches out is refused with its file and line."""
    with pytest.raises(PackError) as caught:
        fill_template(template(text), TemplateFields(base="x"))
    assert type(caught.value) is kind
    assert caught.value.where == (f"mine.Modelfile, {where}" if where else "")
    assert said in caught.value.what


def test_unknown_fields_are_gathered():
    """All fields that do not exist are named with their lines, and the nearest that does."""
    text = "FROM [[ bse ]]\n[% for x in parameter %][[ x ]][% endfor %]\n[[ range(2)|length ]]\n[[ zzz.y ]]"
    with pytest.raises(InputError) as caught:
        fill_template(template(text), FILLED)
    assert caught.value.what.splitlines()[1:] == [
        "  - line 1: bse (did you mean base?)",
        "  - line 2: parameter (did you mean parameters?)",
        "  - line 4: zzz",
    ]
    assert caught.value.where == "mine.Modelfile"
    assert caught.value.hint == "the fields are adapter, base, name, parameters, system, trim"


def test_go_passes_through():
    """Go's braces, comments and Jinja's own usual marks are plain text in a template."""
    text = "{{- if .System }}{% x %}{# y #}{{ end }}<b>&\n\n[# a remark #]{{/* [[ name ]] */}}\n"
    assert fill_template(template(text), FILLED) == text.replace("[# a remark #]", "").replace(
        "[[ name ]]", FILLED.name
    )


def test_values_are_not_templates():
    """A value with marks of its own is text, not filled again."""
    filled = TemplateFields(base="x", system="[[ base ]] [% if %] {{ .System }}")
    assert parse(fill_template(find_template("inherit"), filled), where="x").value("SYSTEM") == filled.system


def test_compose_without_an_author():
    """Without an author's file, the Modelfile is the filled template."""
    found = find_template("vicuna")
    assert print_modelfile(compose_modelfile(None, found, FILLED)) == fill_template(found, FILLED)


@pytest.mark.parametrize("name", ["inherit", "vicuna"])
def test_compose_with_an_author(name, golden):
    """An author's file stays as it is but for what was asked for."""
    golden(
        f"{name}-author",
        print_modelfile(compose_modelfile(parse(AUTHOR, where="x"), find_template(name), FILLED)),
    )


def test_compose_keeps_an_author():
    """With an adapter and nothing else, only the line ADAPTER is added."""
    made = compose_modelfile(
        parse(AUTHOR, where="x"), find_template("inherit"), TemplateFields(adapter="a.gguf")
    )
    assert print_modelfile(made) == AUTHOR.replace("vicuna:7b\n", "vicuna:7b\nADAPTER a.gguf\n")


def test_compose_without_an_adapter():
    """Where there is no separate adapter, a line ADAPTER would apply it twice: it goes."""
    author = parse("FROM x\nADAPTER old\nSYSTEM s\n", where="x")
    made = compose_modelfile(author, find_template("inherit"), TemplateFields(base="merged.gguf"))
    assert print_modelfile(made) == "FROM merged.gguf\nSYSTEM s\n"


def test_compose_completes_a_template():
    """What a template of the user's own leaves out is added, so no adapter is forgotten."""
    made = compose_modelfile(None, template("FROM [[ base ]]\nPARAMETER top_k 1\n"), FILLED)
    assert made.value("ADAPTER") == FILLED.adapter
    assert made.value("SYSTEM") == FILLED.system
    assert parameters(made) == {"temperature": 0.7, "top_k": 1, "stop": [" END"]}


@pytest.mark.parametrize("name", template_names())
@pytest.mark.parametrize("text", [AUTHOR, "", "ADAPTER a\r\nADAPTER b\r\n# c", None])
def test_compose_twice(name, text):
    """Composing the result once more changes nothing."""
    found = find_template(name)
    once = compose_modelfile(None if text is None else parse(text, where="x"), found, FILLED)
    assert print_modelfile(compose_modelfile(once, found, FILLED)) == print_modelfile(once)


@pytest.mark.parametrize(
    ("filled", "said"),
    [
        pytest.param(TemplateFields(adapter="a"), "which base model", id="no base anywhere"),
        pytest.param(
            TemplateFields(base="x", parameters=(("seed", "a"), ("Top", "1"))),
            "seed must be",
            id="a wrong value",
        ),
    ],
)
def test_compose_refuses(filled, said):
    """What was given is checked before a line is written."""
    with pytest.raises(InputError, match=said):
        compose_modelfile(parse("SYSTEM a", where="x"), find_template("inherit"), filled)


def test_jinja_is_imported_when_a_template_is_filled():
    """Importing the module does not import Jinja, so --help stays instant."""
    code = "import sys, ollama_pack.modelfile.template; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
