"""Compares the tokens, merges and special tokens that were saved with an adapter with those of a base."""

import re
from collections.abc import Iterator, Mapping, Sequence

from ollama_pack.gguf.model_info import ModelInfo, Vocabulary

RENAMED_ONE_IN = 100
"""One token in this many may be renamed in the same tokenizer, because converters rename reserved tokens."""

SHOWN_ITEMS = 3
"""The number of tokens, or of shape errors, that a message shows before it gives the number of the others."""

_PLACEHOLDER = re.compile(r"\[PAD\d+\]|<\|?(?:dummy|reserved|unused|extra|pad)[\w|]*>|<pad>", re.IGNORECASE)


def token_mismatches(trained: Vocabulary, base: ModelInfo) -> Iterator[tuple[str, str, str]]:
    """Yield the tokens of the adapter's tokenizer that the base lacks or that differ there."""
    vocabulary = base.vocabulary
    rows = base.shapes.get("token_embd.weight", (0,))[0] or (len(vocabulary.tokens) if vocabulary else 0)
    # Many trainers add a padding token. It occurs in no prompt and no answer, so it may be missing.
    own = dict(trained.tokens)
    own.pop(trained.special.get("pad", -1), None)
    outside = {}
    if rows and max(own, default=0) >= rows:
        outside = {number: token for number, token in own.items() if number >= rows}
    if outside:
        yield "vocabulary", f"the tokens {_token_list(outside)}", f"rows for {rows} tokens"
    if vocabulary is None or not vocabulary.tokens:
        return
    names = vocabulary.tokens
    different = () if own.items() <= names.items() else own.items() - names.items()
    changed = {n: token for n, token in sorted(different) if n not in outside}
    added = {n: token for n, token in changed.items() if n not in names or _is_free(names[n], token)}
    other = {n: token for n, token in changed.items() if n not in added and not _same_token(names[n], token)}
    if len(other) * RENAMED_ONE_IN > len(own) - len(outside):
        yield "tokens", f"the tokens {_token_list(other)}", _token_list({n: names[n] for n in other})
    else:
        yield from _merge_mismatches(trained.merges, vocabulary.merges)
        added |= {number: token for number, token in other.items() if not _is_free(token, "")}
    if added:
        actual = _token_list({n: names.get(n, "") for n in added})
        yield "added-tokens", f"the tokens {_token_list(added)}", actual
    yield from _special_token_mismatches(trained, vocabulary)


def _merge_mismatches(trained: Sequence[str], base: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield a mismatch if both tokenizers list merges, and the lists or their order differ."""
    if not trained or not base or trained == base:
        return
    at = next((n for n, both in enumerate(zip(trained, base, strict=False)) if both[0] != both[1]), None)
    place = min(len(trained), len(base)) if at is None else at
    yield "merges", _merge_text(trained, place), _merge_text(base, place)


def _merge_text(merges: Sequence[str], at: int) -> str:
    """Return the number of merges of a tokenizer, and its merge at the first place where two differ."""
    return f"{len(merges)} merges, {repr(merges[at]) if at < len(merges) else 'none'} as number {at + 1}"


def _special_token_mismatches(trained: Vocabulary, base: Vocabulary) -> Iterator[tuple[str, str, str]]:
    """Yield the special tokens whose ids differ."""
    for kind, number in trained.special.items():
        base_id = base.special.get(kind)
        if base_id is None or base_id == number:
            continue
        yield (
            kind,
            f"{trained.tokens.get(number, '')!r} ({number}) as {kind}",
            f"{base.tokens.get(base_id, '')!r} ({base_id})",
        )


def _same_token(one: str, other: str) -> bool:
    """Return whether two names mean the same token. SentencePiece writes a space as ``▁``."""
    return one == other or one.replace("\u2581", " ") == other.replace("\u2581", " ")


def _is_free(name: str, token: str) -> bool:
    """Return whether the base has only a placeholder under the id of a token of the adapter's tokenizer."""
    return name != token and _PLACEHOLDER.fullmatch(name) is not None


def _token_list(tokens: Mapping[int, str]) -> str:
    """Return the first tokens with their ids, and the number of the others."""
    first = ", ".join(f"{tokens[number]!r} ({number})" for number in sorted(tokens)[:SHOWN_ITEMS])
    return f"{first} and {len(tokens) - SHOWN_ITEMS} more" if len(tokens) > SHOWN_ITEMS else first
