"""An empty text in a Modelfile says that the model has none; a template says so of the system prompt."""

import pytest

from ollama_pack.deliver.package import make_package
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.lora.plan import LoraFile
from ollama_pack.modelfile.editing import with_command
from ollama_pack.modelfile.parser import parse
from ollama_pack.modelfile.syntax import print_modelfile
from ollama_pack.modelfile.template import TemplateFields, compose_modelfile, find_template, template_names
from ollama_pack.ollama.names import parse_name

OWN = "# mine\nFROM x\nSYSTEM You are Ada.\nTEMPLATE {{ .Prompt }}?\n"


def composed(author, template, **fields):
    """Return the Modelfile of a named template on an author's text."""
    given = None if author is None else parse(author, where="Modelfile.txt")
    filled = TemplateFields(base="x", adapter="./a.gguf", **fields)
    return compose_modelfile(given, find_template(template), filled, chosen=True)


@pytest.mark.parametrize("text", ["FROM x\n", "FROM x\nSYSTEM Old.\n", 'FROM x\nSYSTEM ""\n'])
def test_an_empty_text_is_written(text):
    """It is written as two quotes, once, and read back as empty."""
    made = with_command(parse(text, where="x"), "SYSTEM", "")
    assert print_modelfile(made) == 'FROM x\nSYSTEM ""\n'
    assert with_command(made, "SYSTEM", "") == made


@pytest.mark.parametrize(("name", "key"), [("PARAMETER", "stop"), ("LICENSE", ""), ("ADAPTER", "")])
def test_other_commands_are_not_emptied(name, key):
    """What Ollama cannot inherit cannot be removed either."""
    with pytest.raises((InputError, UnsupportedError)):
        with_command(parse("FROM x\n", where="x"), name, "", key=key)


@pytest.mark.parametrize("name", [name for name in template_names() if name != "inherit"])
def test_a_template_takes_the_system_prompt_of_the_base(name):
    """A named template replaces the base's prompt, and its system prompt with it, unless one is given."""
    assert composed(None, name).values("SYSTEM") == ("",)
    assert composed(OWN, name).values("SYSTEM") == ("You are Ada.",)
    assert composed(None, name, system="Be brief.").values("SYSTEM") == ("Be brief.",)
    assert composed(OWN, name, system="").values("SYSTEM") == ("",)


def test_inherit_takes_nothing():
    """The base's own prompt is whole: the author's TEMPLATE goes, and the system prompt of the base stays."""
    assert composed(None, "inherit").values("SYSTEM") == ()
    made = composed(OWN, "inherit")
    assert (made.values("TEMPLATE"), made.values("SYSTEM")) == ((), ("You are Ada.",))


def test_a_template_that_is_not_named_takes_nothing():
    """What an author wrote means what it means to Ollama."""
    filled = TemplateFields(base="x", adapter="./a.gguf")
    made = compose_modelfile(parse("TEMPLATE {{ .Prompt }}\n", where="x"), find_template("inherit"), filled)
    assert made.values("SYSTEM") == ()


@pytest.mark.parametrize(
    ("text", "removed"),
    [
        ("SYSTEM a\n", ()),
        ('SYSTEM ""\n', ("system",)),
        ('SYSTEM ""\nTEMPLATE ""\n', ("template", "system")),
        ('SYSTEM ""\nSYSTEM a\n', ()),
        ('SYSTEM a\nSYSTEM ""\n', ("system",)),
    ],
)
def test_what_is_removed(text, removed, tiny_base, tmp_path):
    """The last command counts, as with Ollama; what it leaves empty is removed from the model."""
    lora = LoraFile(tmp_path / "a.gguf", "sha256:0", 1, "f16")
    assert make_package(parse_name("a"), parse(text, where="x"), lora, tiny_base).removed == removed
