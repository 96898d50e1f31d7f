"""The chat template that was saved with an adapter is found as transformers finds it."""

import json

import pytest

from ollama_pack.errors import InputError
from ollama_pack.lora.peft.chat_template import read_chat_template


@pytest.fixture
def saved(tmp_path):
    """Return a function that writes tokenizer files into a directory of a name, and returns it."""

    def save(name="ada-lora", jinja=None, older=None, **settings):
        directory = tmp_path / name
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "tokenizer_config.json").write_text(json.dumps(settings))
        if jinja is not None:
            (directory / "chat_template.jinja").write_text(jinja)
        if older is not None:
            (directory / "special_tokens_map.json").write_text(json.dumps(older))
        return directory

    return save


def test_the_file_of_its_own_comes_first(saved):
    """chat_template.jinja counts, whatever the settings say."""
    directory = saved(jinja="new", chat_template="old", bos_token="<s>")
    found = read_chat_template(directory)
    assert (found.text, found.special) == ("new", {"bos_token": "<s>"})
    assert found.origin == str(directory / "chat_template.jinja")


def test_a_string_in_the_settings(saved):
    """Else the string of the settings counts; tokens may be objects, and an older file fills gaps."""
    directory = saved(
        chat_template="old",
        bos_token={"content": "<s>", "lstrip": False},
        pad_token=None,
        older={"eos_token": "</s>", "bos_token": "?"},
    )
    found = read_chat_template(directory)
    assert found.text == "old"
    assert found.special == {"bos_token": "<s>", "eos_token": "</s>"}
    assert found.origin.endswith("tokenizer_config.json: chat_template")


def test_the_default_of_several(saved):
    """Of several named templates the default counts; the others are named."""
    several = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]
    found = read_chat_template(saved(chat_template=several))
    assert (found.text, found.others) == ("d", ("tool_use",))


def test_several_without_a_default(saved):
    """Several without a default are an error that names them and a way out that works."""
    directory = saved(chat_template=[{"name": "rag", "template": "r"}, {"name": "tool_use", "template": "t"}])
    with pytest.raises(InputError, match=r"rag, tool_use") as error:
        read_chat_template(directory)
    (directory / error.value.hint.rpartition("/")[2]).write_text("r")
    assert read_chat_template(directory).text == "r"


@pytest.mark.parametrize("given", [7, [], ["x"], {"a": 1}])
def test_no_template_in_its_place(saved, given):
    """What is neither a string nor a list of named ones is an error that names the key."""
    with pytest.raises(InputError) as error:
        read_chat_template(saved(chat_template=given))
    assert error.value.where.endswith("tokenizer_config.json: chat_template")


def test_a_checkpoint_borrows(saved):
    """A checkpoint without a template has that of its run, and its own one if it has one."""
    saved("run", chat_template="of the run")
    checkpoint = saved("run/checkpoint-3")
    assert read_chat_template(checkpoint).text == "of the run"
    saved("run/checkpoint-3", jinja="of its own")
    assert read_chat_template(checkpoint).text == "of its own"


def test_none(saved, tmp_path):
    """Without one there is none, and that is no error."""
    assert read_chat_template(saved()) is None
    (tmp_path / "bare").mkdir()
    assert read_chat_template(tmp_path / "bare") is None
