"""Reads the tokenizer files that were saved with an adapter.

``tokenizer.json`` has every token. Without it, ``tokenizer.model`` has them, and the library `sentencepiece`
reads it; if both are there, they are compared. Without either, ``vocab.json`` of a slow tokenizer has them,
and ``merges.txt`` its merges. Tokens that were added are in ``added_tokens.json`` or
``tokenizer_config.json``, too. The special tokens are named in ``tokenizer_config.json``, and by older
versions of transformers in ``special_tokens_map.json``.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import cast

from ollama_pack.disk.files import LARGEST_JSON, read_json_object, read_small
from ollama_pack.errors import InputError
from ollama_pack.formats.untrusted_json import file_errors, optional
from ollama_pack.gguf.model_info import SPECIAL, Vocabulary
from ollama_pack.lora.peft.run_directory import run_of

FAST, SENTENCEPIECE, SLOW = "tokenizer.json", "tokenizer.model", "vocab.json"
MERGES = "merges.txt"
SETTINGS = ("tokenizer_config.json", "special_tokens_map.json")
ADDED = "added_tokens.json"
MOST_TOKENS = 1 << 22


def read_tokenizer(directory: Path) -> tuple[Vocabulary | None, tuple[str, ...]]:
    """Return the vocabulary of the tokenizer in a directory, or None if there is none, and notes.

    A checkpoint without a tokenizer borrows that of its run. Only the proof of the base needs the vocabulary,
    so files that are damaged or contradict each other lead to a note and not to an error.
    """
    run = run_of(directory)
    try:
        vocabulary = _read_directory(directory)
        if vocabulary is None and run is not None:
            vocabulary = _read_directory(run)
            return vocabulary, ("the tokenizer of its training run is used",) if vocabulary else ()
        return vocabulary, ()
    except InputError as error:
        way = f"; {error.hint}" if error.hint else ""
        return None, (f"the tokenizer is not compared with the base's: {error.where}: {error.clause}{way}",)


def _read_directory(directory: Path) -> Vocabulary | None:
    """Return the vocabulary of the tokenizer files in a directory, or None if there are none."""
    tokens, merges, added = _of_json(directory / FAST) if (directory / FAST).is_file() else ({}, (), {})
    model = directory / SENTENCEPIECE
    if model.is_file():
        pieces = _of_sentencepiece(model)
        if tokens:
            _require_same(pieces, tokens, model)
        tokens = tokens or pieces
    if not tokens and (directory / SLOW).is_file():
        path = directory / SLOW
        tokens = _by_id(read_json_object(path, LARGEST_JSON), path)
        merges = _merges_of_text(directory / MERGES) if (directory / MERGES).is_file() else ()
    if not tokens:
        return None
    others, special = _added(directory)
    tokens |= others
    origin = next(name for name in (FAST, SENTENCEPIECE, SLOW) if (directory / name).is_file())
    return Vocabulary(tokens, _special_tokens(directory, tokens), origin, merges, {**added, **special})


def _of_json(path: Path) -> tuple[dict[int, str], tuple[str, ...], dict[int, bool]]:
    """Return the tokens and the merges of tokenizer.json, and for each added token whether it is special."""
    document = read_json_object(path, LARGEST_JSON)
    with file_errors(path):
        model = optional(document, "model", {})
        added_tokens = optional(document, "added_tokens", [])
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, Mapping):
        tokens = _by_id(vocabulary, path)
    elif isinstance(vocabulary, list):  # Unigram: each with its score
        pieces = [(entry[0], at) for at, entry in enumerate(vocabulary) if isinstance(entry, list) and entry]
        tokens = dict(_checked(pieces, path))
    else:
        raise InputError("There is no vocabulary.", where=f"{path}: model.vocab")
    added = [each for each in added_tokens if isinstance(each, Mapping)]
    tokens |= dict(_checked(((each.get("content"), each.get("id")) for each in added), path))
    special = {each["id"]: each.get("special") is True for each in added}
    return tokens, _merges_of_json(model.get("merges") or (), path), special


def _by_id(numbers: Mapping[str, object], path: Path) -> dict[int, str]:
    """Return the tokens of a vocabulary by their ids; only loops in C look at each of them."""
    if set(map(type, numbers.values())) <= {int}:
        ids = cast("Mapping[str, int]", numbers).values()
        if min(ids, default=0) >= 0 and max(ids, default=0) < MOST_TOKENS:
            return dict(zip(ids, numbers, strict=True))
    return dict(_checked(numbers.items(), path))


def _merges_of_json(merges: object, path: Path) -> tuple[str, ...]:
    """Return the merges as GGUF has them; for pairs without a space, loops in C do all."""
    if isinstance(merges, list) and set(map(type, merges)) == {list} and set(map(len, merges)) == {2}:
        with suppress(TypeError):  # a part that is no text
            joined = tuple(map(" ".join, cast("list[list[str]]", merges)))
            if "\n".join(joined).count(" ") == len(joined):
                return joined
    return tuple(_joined(merges, path))


def _joined(merges: object, path: Path) -> Iterator[str]:
    """Yield each merge of tokenizer.json, a text or a pair, as GGUF has it: a space in a token is ``Ġ``."""
    for merge in merges if isinstance(merges, list | tuple) else (merges,):
        if type(merge) is str:
            yield merge
        elif type(merge) is list and list(map(type, merge)) == [str, str]:
            yield " ".join(part.replace(" ", "\u0120") for part in merge)
        else:
            raise InputError(f"{merge!r:.40} is not a merge of two tokens.", where=f"{path}: model.merges")


def _merges_of_text(path: Path) -> tuple[str, ...]:
    """Return the merges of merges.txt, one a line below a line with the version."""
    try:
        lines = read_small(path, LARGEST_JSON).decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("The file cannot be read as merges.", where=path) from error
    first = 1 if lines[0].startswith("#version") else 0
    merges = tuple(line for each in lines[first:] if (line := each.rstrip("\r")))
    bad = next((merge for merge in merges if merge.count(" ") != 1), None)
    if bad is not None:
        raise InputError(f"{bad!r:.40} is not a merge of two tokens.", where=path)
    return merges


def _checked(pairs: Iterable[tuple[object, object]], path: Path) -> Iterator[tuple[int, str]]:
    """Yield id and token of each pair."""
    for token, number in pairs:
        if type(token) is not str or type(number) is not int or not 0 <= number < MOST_TOKENS:
            raise _bad_token(token, number, path)
        yield number, token


def _bad_token(token: object, number: object, path: Path) -> InputError:
    """Return the error for a token that is not a text, or whose id is not valid."""
    return InputError(f"The token {token!r:.40} has the id {number!r:.40}, which is not valid.", where=path)


def _of_sentencepiece(path: Path) -> dict[int, str]:
    """Return the pieces of a SentencePiece model by their ids."""
    import sentencepiece

    try:
        processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        return {number: processor.IdToPiece(number) for number in range(processor.GetPieceSize())}
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError("The file is not a SentencePiece model.", where=path) from error


def _require_same(pieces: Mapping[int, str], tokens: Mapping[int, str], path: Path) -> None:
    """Require that both files name the same tokens, except for a few pieces that added tokens replace."""
    other = [number for number, piece in pieces.items() if tokens.get(number, piece) != piece]
    if len(other) > max(len(pieces) // 100, 8):
        first = other[0]
        raise InputError(
            f"{SENTENCEPIECE} and {FAST} differ in {len(other)} tokens: token {first} is {pieces[first]!r} "
            f"and {tokens[first]!r}.",
            where=path,
            hint="save the tokenizer used in training again, or move the wrong file away",
        )


def _added(directory: Path) -> tuple[dict[int, str], dict[int, bool]]:
    """Return the tokens that were added to the tokenizer, by their ids, and which of them are special."""
    tokens: dict[int, str] = {}
    special: dict[int, bool] = {}
    path = directory / SETTINGS[0]
    slow = path.is_file() and not (directory / FAST).is_file()  # tokenizer.json has them itself
    decoder = read_json_object(path).get("added_tokens_decoder") if slow else None
    if isinstance(decoder, Mapping):
        pairs = (
            (value.get("content"), int(key) if key.isdecimal() else key)
            for key, value in decoder.items()
            if isinstance(value, Mapping)
        )
        tokens |= dict(_checked(pairs, path))
        values = [(int(key), value) for key, value in decoder.items() if isinstance(value, Mapping)]
        special |= {number: value.get("special") is True for number, value in values}
    path = directory / ADDED
    if path.is_file():
        named = set(_named_special(directory))
        others = _by_id(read_json_object(path, LARGEST_JSON), path)
        tokens |= others
        special = {number: token in named for number, token in others.items()} | special
    return tokens, special


def _named_special(directory: Path) -> Iterator[str]:
    """Yield the tokens that the settings name as special, which added_tokens.json does not say."""
    for name in SETTINGS:
        settings = read_json_object(directory / name) if (directory / name).is_file() else {}
        for key, value in settings.items():
            values = value if isinstance(value, list) else [value]
            texts = (each.get("content") if isinstance(each, Mapping) else each for each in values)
            if key.endswith(("_token", "_special_tokens")):
                yield from (text for text in texts if isinstance(text, str))


def _special_tokens(directory: Path, tokens: Mapping[int, str]) -> dict[str, int]:
    """Return the special tokens and their ids, without those that are not in the vocabulary."""
    texts: dict[str, list[str]] = {kind: [] for kind in SPECIAL}
    for name in SETTINGS:
        if not (directory / name).is_file():
            continue
        settings = read_json_object(directory / name)
        for kind in SPECIAL:
            value = settings.get(f"{kind}_token")
            text = value.get("content") if isinstance(value, Mapping) else value
            if isinstance(text, str):
                texts[kind].append(text)
    named = set(chain.from_iterable(texts.values()))
    numbers = {token: number for number, token in tokens.items() if token in named}
    found = {kind: [numbers[text] for text in some if text in numbers] for kind, some in texts.items()}
    return {kind: some[0] for kind, some in found.items() if some}
