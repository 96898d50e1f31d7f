"""Laws of model names."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.errors import InputError
from ollama_pack.ollama.names import ModelName, parse_name
from ollama_pack.pipeline.naming import name_from_directory

pytestmark = pytest.mark.property

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"


def part(extra, longest):
    return st.builds(str.__add__, st.sampled_from(LETTERS), st.text(LETTERS + extra, max_size=longest - 1))


def is_tag(text):
    return text.lower() not in ("cloud", "local") and not text.lower().endswith("-cloud")


NAMES = st.builds(
    ModelName,
    host=st.just("registry.ollama.ai") | part("-_.:", 40),
    namespace=st.just("library") | part("-_", 20),
    model=part("-_.", 80),
    tag=st.just("latest") | part("-_.", 80).filter(is_tag),
)


@given(NAMES)
def test_parse_undoes_print(name):
    """Both printed forms of a name parse to it, up to the case of the defaults."""
    assert parse_name(str(name)) == name
    assert parse_name(name.display).same_as(name)


@given(st.text())
def test_every_text_is_a_name_or_gets_a_legal_suggestion(text):
    """No text crashes the parser, and what it suggests is a name."""
    try:
        name = parse_name(text)
    except InputError as error:
        parse_name(error.hint.removeprefix("the name "))
    else:
        assert parse_name(str(name)) == name


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"])))
def test_every_directory_has_a_name(directory):
    """Whatever a directory is called, the name made of it is legal and lower case."""
    name = name_from_directory(Path("runs") / directory)
    assert parse_name(str(name)) == name
    assert name.model == name.model.lower()
