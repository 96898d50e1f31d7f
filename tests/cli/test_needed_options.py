"""Options that would be ignored are refused, unless they come from a file or a variable."""

import pytest
from following import hint_of, succeeds
from recipes import write_adapter
from terminal import run

MERGED = {
    "--merge-type": "q8_0",
    "--merge-size": "9MB",
    "--imatrix": "imatrix.gguf",
    "--kept-on": "text.txt",
    "--min-kept": "0",
}
"""Options of a merged file, each with a value."""


@pytest.fixture(params=["build", "release"])
def words(request, ada, tiny_gguf, tiny_tag, tmp_path):
    """Return the words of a command that makes a model of an adapter, into a folder."""
    if request.param == "build":
        return ("build", ada, "--base", tiny_gguf, "--via", "folder", "--out", tmp_path / "out")
    return ("release", ada, "--base", tiny_tag, "--no-report", "--out", tmp_path / "out")


@pytest.mark.parametrize("option", MERGED)
def test_an_option_that_would_be_ignored(words, option, tmp_path):
    """An option of a merged file without --merge is refused with a hint, and nothing is made."""
    value = MERGED[option]
    if option in ("--imatrix", "--kept-on"):  # what is not there is told before
        value = tmp_path / value
        value.touch()
    typed = (*words, option, value)
    assert hint_of(*typed, code="bad-option") == "--merge  beside it"
    assert not (tmp_path / "out").exists()
    if option in ("--merge-type", "--min-kept"):
        succeeds(*typed, "--merge")
    if option == "--merge-type":
        hint = hint_of(*words, "--merge", "--outtype", "q8_0", code="bad-option")
        succeeds(*words, "--merge", hint.split()[0], "q8_0")


def test_a_file_may_say_more_than_a_command_needs(words, tmp_path, monkeypatch):
    """What [options] and variables give holds where it means something, and is refused nowhere."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ollama-pack.toml").write_text('[options]\nmerge-type = "f16"\nouttype = "f32"\n')
    monkeypatch.setenv("OLLAMA_PACK_MIN_KEPT", "0.5")
    succeeds(*words)
    succeeds(*words, "--merge")
    (tmp_path / "ollama-pack.toml").write_text("[options]\nmerge = true\n")
    succeeds(*words, "--merge-type", "f32")


def test_too_few_weights(tmp_path):
    """There are directories without a weight: both are counted, with or without a name behind them."""
    places = [write_adapter(tmp_path / name) for name in ("one-lora", "two-lora", "three-lora")]
    for count, given in ((2, 1), (3, 1), (3, 2)):
        weights = ("--weight", "0.5") * given
        for name in ((), ("ada",)):
            ran = run("build", *places[:count], *name, *weights)
            assert ran.code == 2
            assert f"There are {count} directories, but {given} --weight: give one for each." in ran.stderr
            assert "try:" not in ran.stderr
