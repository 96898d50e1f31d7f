"""The tokenizer that was saved with an adapter: every layout of its files, and what is damaged in them."""

import io
import json

import pytest

from ollama_pack.lora.peft.tokenizer import read_tokenizer

WORDS = "ada wrote notes on the engine that babbage drew and nobody built in her time"
VOCABULARY = {"<unk>": 0, "<s>": 1, "</s>": 2, "\u2581ada": 3, "\u2581babbage": 4}
ADDED = [{"id": 5, "content": "<tool>", "special": True}, {"id": 1, "content": "<s>", "special": True}]


def save(directory, name, document) -> None:
    """Write one of the files."""
    text = document if isinstance(document, str) else json.dumps(document)
    (directory / name).write_text(text, "utf-8", "surrogatepass")


@pytest.fixture(scope="session")
def pieces(tmp_path_factory):
    """Return a SentencePiece model that was trained here, and its pieces."""
    sentencepiece = pytest.importorskip("sentencepiece", reason="NOT TESTED: sentencepiece is not installed")
    words = WORDS.split()
    sentences = (" ".join(words[at % len(words) :] + words[: at % 7]) for at in range(400))
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=sentences, model_writer=model, vocab_size=35, minloglevel=2
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    names = [processor.IdToPiece(number) for number in range(processor.GetPieceSize())]
    return model.getvalue(), names


def test_no_tokenizer(tmp_path):
    """Nothing is known, and nothing is said of it."""
    assert read_tokenizer(tmp_path) == (None, ())


@pytest.mark.parametrize(
    "model",
    [
        {"type": "BPE", "vocab": VOCABULARY, "merges": []},
        {"type": "Unigram", "vocab": [[token, -1.0] for token in VOCABULARY]},
        {"type": "WordPiece", "vocab": VOCABULARY},
    ],
    ids=lambda model: model["type"],
)
def test_fast_tokenizers(model, tmp_path):
    """Tokens and added tokens, by their ids; the settings say which are special."""
    save(tmp_path, "tokenizer.json", {"model": model, "added_tokens": ADDED})
    save(
        tmp_path,
        "tokenizer_config.json",
        {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": None},
    )
    found, notes = read_tokenizer(tmp_path)
    assert found.tokens == {**{number: token for token, number in VOCABULARY.items()}, 5: "<tool>"}
    assert found.special == {"bos": 1, "eos": 2}
    assert (found.origin, notes) == ("tokenizer.json", ())


def test_older_settings(tmp_path):
    """special_tokens_map.json serves where the newer file says nothing, and added_tokens.json adds."""
    save(tmp_path, "tokenizer.json", {"model": {"vocab": VOCABULARY}})
    save(tmp_path, "added_tokens.json", {"<extra>": 6})
    save(tmp_path, "tokenizer_config.json", {"eos_token": "<extra>"})
    special = {"eos_token": "</s>", "bos_token": {"content": "<s>"}, "pad_token": "<nowhere>"}
    save(tmp_path, "special_tokens_map.json", special)
    found, _ = read_tokenizer(tmp_path)
    assert found.special == {"eos": 6, "bos": 1}
    assert found.tokens[6] == "<extra>"


def test_sentencepiece_alone(pieces, tmp_path):
    """tokenizer.model has the tokens where no other file has."""
    content, names = pieces
    (tmp_path / "tokenizer.model").write_bytes(content)
    found, notes = read_tokenizer(tmp_path)
    assert list(found.tokens.values()) == names
    assert (found.origin, notes) == ("tokenizer.model", ())


def test_both_files(pieces, tmp_path):
    """Where both are, they must be one tokenizer; tokens that were added later do not matter."""
    content, names = pieces
    (tmp_path / "tokenizer.model").write_bytes(content)
    vocabulary = {name: number for number, name in enumerate([*names, "<new>"])}
    save(tmp_path, "tokenizer.json", {"model": {"vocab": vocabulary}})
    found, notes = read_tokenizer(tmp_path)
    assert (len(found.tokens), notes) == (len(names) + 1, ())
    save(tmp_path, "tokenizer.json", {"model": {"vocab": {f"{name}!": n for n, name in enumerate(names)}}})
    found, (note,) = read_tokenizer(tmp_path)
    assert found is None
    assert f"tokenizer.model and tokenizer.json differ in {len(names)} tokens" in note
    assert note.endswith("; save the tokenizer used in training again, or move the wrong file away")
    (tmp_path / "tokenizer.model").rename(tmp_path / "moved")
    assert read_tokenizer(tmp_path)[0] is not None, "the other file was moved away"


@pytest.mark.parametrize("place", ["added_tokens.json", "tokenizer_config.json"])
def test_a_slow_tokenizer(place, tmp_path):
    """vocab.json serves where no other file has the tokens, with those that were added in either file."""
    save(tmp_path, "vocab.json", VOCABULARY)
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n", "utf-8")
    added = {"<extra>": 6} if place == "added_tokens.json" else {}
    save(tmp_path, "added_tokens.json", added)
    decoder = {} if added else {"6": {"content": "<extra>", "special": True}}
    save(tmp_path, "tokenizer_config.json", {"eos_token": "<extra>", "added_tokens_decoder": decoder})
    found, notes = read_tokenizer(tmp_path)
    assert (found.origin, found.tokens[6], found.special, notes) == ("vocab.json", "<extra>", {"eos": 6}, ())
    assert {token: number for number, token in found.tokens.items()} == {**VOCABULARY, "<extra>": 6}


MERGED = ("a b", "ab \u0120c", "# #")


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("tokenizer.json", {"model": {"vocab": VOCABULARY, "merges": list(MERGED)}}),
        (
            "tokenizer.json",
            {"model": {"vocab": VOCABULARY, "merges": [["a", "b"], ["ab", " c"], ["#", "#"]]}},
        ),
        ("merges.txt", "#version: 0.2\na b\nab \u0120c\n# #\n"),
        ("merges.txt", "a b\r\nab \u0120c\r\n# #"),
    ],
)
def test_merges(name, document, tmp_path):
    """They are read in each of their spellings, as a GGUF file has them; # is a token as any other."""
    save(tmp_path, name, document)
    if name == "merges.txt":
        assert read_tokenizer(tmp_path) == (None, ())
        save(tmp_path, "vocab.json", VOCABULARY)
    found, notes = read_tokenizer(tmp_path)
    assert (found.merges, notes) == (MERGED, ())


@pytest.mark.parametrize("merges", [["a b", 3], ["a b", ["c"]], 3, {"a": "b"}, [["a", 1]]])
def test_damaged_merges(merges, tmp_path):
    """They are told with the file, and nothing is compared."""
    save(tmp_path, "tokenizer.json", {"model": {"vocab": VOCABULARY, "merges": merges}})
    found, (note,) = read_tokenizer(tmp_path)
    assert found is None
    assert "tokenizer.json: model.merges: " in note


@pytest.mark.parametrize("content", [b"#version: 0.2\na b c\n", b"alone\n", b"\xff\xfe a\n"])
def test_damaged_merges_of_a_slow_tokenizer(content, tmp_path):
    """A line that is no pair is told with the file."""
    save(tmp_path, "vocab.json", VOCABULARY)
    (tmp_path / "merges.txt").write_bytes(content)
    found, (note,) = read_tokenizer(tmp_path)
    assert found is None
    assert "merges.txt: " in note


@pytest.mark.parametrize("content", ["{", {"a": "1"}, {"a": -1}, []])
def test_a_damaged_slow_tokenizer(content, tmp_path):
    """It is told with its file, and nothing is compared."""
    save(tmp_path, "vocab.json", content)
    found, (note,) = read_tokenizer(tmp_path)
    assert found is None
    assert "vocab.json" in note


DAMAGED = {
    "no JSON": "{",
    "deep": "[" * 100_000,
    "a list": [],
    "no model": {},
    "no vocabulary": {"model": {}},
    "vocabulary of another kind": {"model": {"vocab": 3}},
    "a token that is a number": {"model": {"vocab": [[3, 1.0]]}},
    "an id that is text": {"model": {"vocab": {"a": "1"}}},
    "an id that is true": {"model": {"vocab": {"a": True}}},
    "an id below 0": {"model": {"vocab": {"a": -1}}},
    "an id beyond all": {"model": {"vocab": {"a": 1 << 40}}},
    "an added token without an id": {"model": {"vocab": {}}, "added_tokens": [{"content": "x"}]},
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_a_note(case, tmp_path):
    """Nothing but the proof needs it: it is told with its file, and nothing is compared."""
    save(tmp_path, "tokenizer.json", DAMAGED[case])
    found, (note,) = read_tokenizer(tmp_path)
    assert found is None
    assert "the tokenizer is not compared with the base's" in note
    assert "tokenizer.json" in note


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"not a model at all"])
def test_a_damaged_sentencepiece_model(content, tmp_path):
    """It is told as no model."""
    pytest.importorskip("sentencepiece", reason="NOT TESTED: sentencepiece is not installed")
    (tmp_path / "tokenizer.model").write_bytes(content)
    found, notes = read_tokenizer(tmp_path)
    assert found is None
    assert any("SentencePiece" in note for note in notes) or content == b""
