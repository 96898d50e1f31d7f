"""Prove that a base is the one that an adapter was trained on, from headers and tokenizers.

llama.cpp and Ollama check only shapes, so a LoRA on another base of the same shape loads and answers
nonsense. Everything known about the base in training is compared with the found base, and each mismatch has a
code. Related models may have the same shapes and the same tokens. Then the name and the version in the header
decide, or a note says that the models cannot be told apart. Why: docs/decisions.md, "The base is proved where
it is seen".
"""

import re
from collections.abc import Iterator

from ollama_pack.base.expected import ExpectedBase
from ollama_pack.errors import fold_numbered_names
from ollama_pack.gguf.model_info import SPECIAL, ModelInfo
from ollama_pack.gguf.reader import GgufFile
from ollama_pack.ollama.compat import is_translated, translate_header
from ollama_pack.verify.base_mismatch import (
    ERROR,
    NOTE,
    WARNING,
    BaseMismatch,
    agreement,
    mismatch_of,
    stop_at_mismatches,
)
from ollama_pack.verify.base_sizes import number_mismatches, position_mismatches, row_order_mismatches
from ollama_pack.verify.base_tokens import SHOWN_ITEMS, token_mismatches
from ollama_pack.verify.llama_load import load_errors

_SIZE_CODES = frozenset(
    {"blocks", "hidden", "heads", "kv-heads", "head-dim", "feed-forward", "fewer-blocks", "row-order"}
)
_TOKENS = frozenset({"tokens", "vocabulary", "added-tokens"})
_VERSION = re.compile(r"v?[0-9]+(?:\.[0-9]+)*")
_SIZE = re.compile(r"[0-9.]+(?:x[0-9.]+)?[bm]|a[0-9.]+b")
_CHAT_WORDS, _BASE_WORDS = frozenset({"instruct", "chat", "it"}), frozenset({"base", "text", "pt"})
_NAME_PARTS = ("basename", "version", "size_label", "finetune")
_IGNORED_WORDS = frozenset({"hf", "bnb", "4bit", "unsloth", "model", "models", "meta", "gguf"})


def compare_base(trained: ExpectedBase, adapter: GgufFile, base: ModelInfo) -> tuple[BaseMismatch, ...]:
    """Return every mismatch between a base and what the adapter was trained on, the worst first.

    Args:
        trained: what is known about the base in training.
        adapter: the header of the GGUF LoRA file.
        base: the metadata, shapes and vocabulary of the found base.
    """
    mismatches = [mismatch_of(code, *texts) for code, *texts in _mismatch_texts(trained, adapter, base)]
    order = (ERROR, WARNING, NOTE)
    return tuple(sorted(mismatches, key=lambda each: order.index(each.level)))


def require_no_mismatch(
    trained: ExpectedBase, mismatches: tuple[BaseMismatch, ...], base: ModelInfo
) -> list[str]:
    """Return the lines to show for an acceptable base: what agrees, then its warnings and the notes.

    Args:
        trained: what is known about the base in training, and which mismatches the user accepts.
        mismatches: the mismatches that `compare_base` returned.
        base: the found base.

    Raises:
        ProofError: there is an error that the user does not accept, or a warning if `trained` is strict.
    """
    doubts = stop_at_mismatches(trained, mismatches, base.name)
    return [*_agreed(trained, mismatches, base), *doubts, *trained.notes]


def _agreed(trained: ExpectedBase, mismatches: tuple[BaseMismatch, ...], base: ModelInfo) -> Iterator[str]:
    """Yield a line with everything that matches, and one if the base cannot be told from related models."""
    doubtful = {each.code for each in mismatches}
    plain = base.shapes and not is_translated(base.metadata, base.shapes)
    agreed = ["every tensor and shape"] if plain else ["architecture"]
    if trained.hparams is not None and not doubtful & _SIZE_CODES:
        agreed.append("heads and blocks")
    compared = trained.vocabulary is not None and base.vocabulary is not None
    if trained.vocabulary is not None and base.vocabulary is not None:
        if not doubtful & _TOKENS:
            agreed.append(f"{len(trained.vocabulary.tokens)} tokens")
            if trained.vocabulary.merges and trained.vocabulary.merges == base.vocabulary.merges:
                agreed.append(f"{len(base.vocabulary.merges)} merges")
        both = trained.vocabulary.special.keys() & base.vocabulary.special.keys() - doubtful
        agreed += [kind for kind in SPECIAL if kind in both]
    yield agreement(base.name, agreed, complete=compared)
    if not compared:
        lacks = (
            "the adapter has no tokenizer that can be read"
            if trained.vocabulary is None
            else "the base lists no tokens"
        )
        yield f"the tokens of {base.name} were not compared: {lacks}"
    for each in (each for each in mismatches if each.code == "untold"):
        untold = f"{trained.base_id} cannot be told from related models: the base has {each.found}"
        yield each.message(untold, trained.accepted)


def _mismatch_texts(
    trained: ExpectedBase, adapter: GgufFile, base: ModelInfo
) -> Iterator[tuple[str, str, str]]:
    """Yield the code of each mismatch, what the adapter was trained with, and what the base has."""
    metadata, shapes = translate_header(base.metadata, base.shapes)
    arch = str(metadata.get("general.architecture", ""))
    own = str(adapter.metadata.get("general.architecture", ""))
    if own != arch:
        yield "architecture", own, arch
        return
    if errors := fold_numbered_names(load_errors(adapter, metadata, shapes)):
        more = f", and {len(errors) - SHOWN_ITEMS} more" if len(errors) > SHOWN_ITEMS else ""
        yield "fit", "", f"{'; '.join(errors[:SHOWN_ITEMS])}{more}"
    if trained.placed is not None:
        yield from row_order_mismatches(trained.placed, metadata, arch)
    yield from number_mismatches(trained, metadata, arch)
    if trained.vocabulary is not None:
        yield from token_mismatches(trained.vocabulary, base)
    complete = not is_translated(base.metadata, base.shapes)
    yield from position_mismatches(trained.positions, metadata, arch, complete=complete)
    yield from _name_mismatches(trained.base_id, base)


def _name_mismatches(base_id: str, base: ModelInfo) -> Iterator[tuple[str, str, str]]:
    """Yield a mismatch if the name in the header contradicts the id of the base, or cannot confirm it."""
    # /api/show leaves out general.name, but shows the parts that the converter made from it.
    parts = [str(base.metadata.get(f"general.{part}") or "") for part in _NAME_PARTS]
    name = str(base.metadata.get("general.name") or " ".join(filter(None, parts)))
    if not base_id:
        return
    expected, actual = _words(base_id.rpartition("/")[2]), _words(name)
    if not actual or actual[0] != expected[0]:
        if base_id:
            yield "untold", base_id, f"the name {name!r}" if name else "no name in its header"
        return
    if _contradict(set(expected), set(actual)):
        yield "relative", base_id, name
    elif set(expected) != set(actual):
        yield "untold", base_id, f"the name {name!r}"


def _contradict(expected: set[str], actual: set[str]) -> bool:
    """Return whether the words of two names give different versions or sizes, or only one is a chat model."""
    both = (expected, actual)
    one, other = ({word.lstrip("v") for word in words if _VERSION.fullmatch(word)} for words in both)
    if one and other and one != other:
        return True
    sizes = [{word for word in words if _SIZE.fullmatch(word)} for words in both]
    if all(sizes) and sizes[0] != sizes[1]:
        return True
    if expected & _CHAT_WORDS:
        return bool(actual & _BASE_WORDS) or actual == expected - _CHAT_WORDS
    return bool(actual & _CHAT_WORDS)


def _words(name: str) -> list[str]:
    """Return the words of a name that identify a model, the family first: ``llama``, ``3.1``, ``8b``."""
    text = re.sub(r"(?<=[a-z]{3})-?(?=[0-9])", "-", name.lower(), count=1)
    return [word for word in re.split(r"[-_\s/]+", text) if word and word not in _IGNORED_WORDS] or [""]
