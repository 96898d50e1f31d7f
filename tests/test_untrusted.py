"""What comes from outside: JSON within bounds, and files that are none."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.disk.files import home_directory, read_json_object, read_small, regular_file, user_path
from ollama_pack.errors import InputError
from ollama_pack.formats.untrusted_json import MOST_DEPTH, MOST_DIGITS, MOST_VALUES, parse_json
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.modelfile.template import find_template


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(f'{{"rope_theta": {"9" * 400}}}', "a number has 400 digits", id="400 digits"),
        pytest.param("[" * (MOST_DEPTH + 2) + "]" * (MOST_DEPTH + 2), "nested too deeply", id="deep"),
        pytest.param("[" * 100_000 + "]" * 100_000, "nested too deeply", id="deeper than the parser goes"),
        pytest.param("[" + "0," * MOST_VALUES + "0]", "more than .* values", id="many"),
    ],
)
def test_json_is_bounded(text, why):
    """What would overflow a float, the stack or the memory is no document."""
    for content in (text, text.encode()):
        with pytest.raises(ValueError, match=why):
            parse_json(content)


def test_json_of_the_usual_kind():
    """Depth and numbers of real documents pass."""
    assert parse_json('{"a": [1, 2.5, {"b": null}], "c": 18446744073709551615}')["c"] == 2**64 - 1
    assert parse_json("[" * MOST_DEPTH + "]" * MOST_DEPTH)


@given(before=st.text(max_size=2 * MOST_DIGITS), count=st.integers(MOST_DIGITS - 3, MOST_DIGITS + 3))
def test_digits_are_bounded_wherever_they_stand(before, count):
    """A number has at most `MOST_DIGITS` digits; a text may have as many as it likes."""
    text = json.dumps([before, "9" * count], ensure_ascii=False)
    assert parse_json(text) == json.loads(text)
    text = f"[{json.dumps(before)}, {'9' * count}]"
    if count <= MOST_DIGITS:
        assert parse_json(text) == [before, int("9" * count)]
    else:
        with pytest.raises(ValueError, match=f"a number has {count} digits"):
            parse_json(text)


def test_a_number_of_400_digits_is_told(tmp_path):
    """The file is named, with the reason."""
    (tmp_path / "config.json").write_text(f'{{"rope_theta": {"9" * 400}}}')
    with pytest.raises(InputError, match="400 digits") as caught:
        read_json_object(tmp_path / "config.json")
    assert caught.value.where == str(tmp_path / "config.json")


def test_a_large_configuration_is_refused_unread(tmp_path):
    """A configuration has the bound of configurations, and a sparse one costs nothing."""
    with (tmp_path / "adapter_config.json").open("wb") as file:
        file.truncate(250_000_000)
    with pytest.raises(InputError, match="more than"):
        read_json_object(tmp_path / "adapter_config.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="NOT TESTED: needs named pipes")
@pytest.mark.parametrize(
    "read",
    [
        lambda path: read_small(path),
        lambda path: regular_file(path).__enter__(),
        lambda path: read_gguf(path),
        lambda path: find_template(str(path)),
        lambda path: read_json_object(path),
    ],
)
def test_a_pipe_is_never_waited_for(read, tmp_path):
    """A pipe without a writer would block for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises((OSError, InputError)):
        read(tmp_path / "pipe")


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="NOT TESTED: needs /dev/zero")  # noqa: PTH110
def test_a_device_is_no_template():
    """A device that never ends is not read."""
    with pytest.raises(InputError, match="no file of that name"):
        find_template("/dev/zero")


def test_the_home_of_nobody(monkeypatch, tmp_path):
    """A user that does not exist, and a process without a home, have paths all the same."""
    assert str(user_path("~nosuchuser/x")) == "~nosuchuser/x"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/x") == tmp_path / "x"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 54321)
    assert home_directory().is_absolute()
    assert str(user_path("~/x")) == "~/x"
