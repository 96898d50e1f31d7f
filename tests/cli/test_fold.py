"""Lines for a terminal: no word is broken, the indent stays, commands can be pasted."""

import os
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.cli.fold import NARROWEST, cells_of, fold

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)
TEXTS = st.lists(st.tuples(WORDS, st.sampled_from([" ", "  ", "     "])), min_size=1, max_size=30)
LABELS = st.sampled_from(["", "read      ", "          ", "model.layers.{i}.self_attn.q_proj  "])


@given(TEXTS, st.integers(1, 100), LABELS)
def test_every_word_is_there_once(pairs, width, label):
    """Whatever the width, the words are those of the text, in their order; a line too long has one word."""
    text = "".join(word + gap for word, gap in pairs).strip()
    folded = fold(text, width, label)
    assert folded.split() == (label + text).split()
    for line in folded.splitlines():
        assert cells_of(line) <= max(width, NARROWEST) or len(line.split()) == 1 or line.startswith(label)


@given(TEXTS, st.integers(1, 100), LABELS)
def test_every_line_is_indented(pairs, width, label):
    """What goes on stands as far to the right as the text begins, or by four where there is no room."""
    text = "".join(word + gap for word, gap in pairs).strip()
    wide = cells_of(label) > max(width, NARROWEST) // 2
    indents = {len(line) - len(line.lstrip()) for line in fold(text, width, label).splitlines()[1:]}
    assert indents <= {(cells_of(label) - cells_of(label.lstrip()) + 4) if wide else cells_of(label)}


def test_without_a_limit_nothing_changes():
    """In a pipe a line stays a line."""
    assert fold("one two " * 100, 0, "read      ") == "read      " + ("one two " * 100).rstrip()


def test_cells_stay_together():
    """A cell that fits on a line of its own is not broken; one that does not is filled up."""
    assert fold("vicuna:7b   llama   the base of it", 24, "yes     ") == (
        "yes     vicuna:7b\n        llama\n        the base of it"
    )


def test_an_error_keeps_its_indent():
    """The parts of an error and its list go on under their own text."""
    text = "  - DoRA: it rescales every row\n  in:  a b c d e f g h i j k l\n  try: an earlier one of them"
    assert fold(text, 24) == (
        "  - DoRA: it rescales\n    every row\n"
        "  in:  a b c d e f g h i\n       j k l\n"
        "  try: an earlier one of\n       them"
    )


COMMANDS = [
    "ollama-pack build --each 'my collection'/* --base tiny.gguf --via store",
    'OLLAMA_HOST=127.0.0.1:11435 OLLAMA_MODELS="/a b" ollama serve',
    "hf download ada-inc/babbage-lora --local-dir babbage-lora && ollama-pack build babbage-lora",
    "python -c 'import numpy, safetensors.numpy as s; s.save_file(dict(numpy.load(1)), 2)'",
    r"cp a\ b/pytorch_model.bin a\ b/adapter_model.bin",
]


@pytest.mark.skipif(os.name == "nt", reason="NOT TESTED: its shells have no such sign")
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("label", ["", "  try: ", "run       "])
def test_a_command_can_be_pasted(command, label):
    """What a shell reads of the lines is the command; its explanation is on lines of its own."""
    folded = fold(f"{command}  makes a model of each", 40, label)
    lines = folded.removeprefix(label).splitlines()
    said = next(n for n, line in enumerate(lines) if not line.endswith("\\")) + 1
    assert len(lines) > 1
    assert shlex.split("\n".join(lines[:said]).replace("\\\n", "")) == shlex.split(command)
    assert " ".join("\n".join(lines[said:]).split()) == "makes a model of each"


def test_on_windows_a_command_is_left_whole(monkeypatch):
    """Its shells cannot go on in the next line; the terminal breaks it, and copies it whole."""
    monkeypatch.setattr("ollama_pack.cli.fold.os.name", "nt")
    assert fold(COMMANDS[0], 40) == COMMANDS[0]


def test_words_about_a_command_are_no_command():
    """A hint that lists ways is a sentence."""
    assert "\\" not in fold("ollama serve there, or --via store, or another store that is yours", 30)


def test_wide_characters_take_two_columns():
    """Chinese takes twice the room, and combined accents none."""
    assert [cells_of(text) for text in ("abc", "模型", "e\u0301")] == [3, 4, 1]
    assert fold("模型 模型 模型 模型 模型", 20) == "模型 模型 模型 模型\n模型"
