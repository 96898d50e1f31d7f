"""PROVE that a base is the one an adapter was trained on, as far as headers and tokenizers tell.

A LoRA on another base of the same shape loads, and talks nonsense; llama.cpp and Ollama check shapes alone.
Everything that was trained with the adapter is compared with what the base has, and each disagreement gets a
code. Where a model's relatives have the same shape and the same tokens, names and versions in the header tell
them apart, or it is said that nothing does.
"""

import re
from collections.abc import Iterator, Mapping

from ollama_pack.base.expected import ExpectedBase
from ollama_pack.errors import ProofError
from ollama_pack.gguf.model_info import SPECIAL, ModelInfo, Vocabulary
from ollama_pack.gguf.reader import GgufFile
from ollama_pack.ollama.compat import is_translated, translate_header
from ollama_pack.verify.base_mismatch import ERROR, NOTE, WARNING, BaseMismatch
from ollama_pack.verify.llama_load import load_errors

FATAL = frozenset({"architecture", "fit"})
"""Codes of what does not load: nobody can accept that."""

OTHER_BASE = "--base with the model it was trained on"
SAME_WEIGHTS = "if it holds the very weights that were trained, --base-mismatch-ok {code}"
MISMATCHES: Mapping[str, tuple[str, str]] = {
    "architecture": (ERROR, OTHER_BASE),
    "fit": (ERROR, OTHER_BASE),
    "blocks": (ERROR, OTHER_BASE),
    "hidden": (ERROR, OTHER_BASE),
    "heads": (ERROR, OTHER_BASE),
    "kv-heads": (ERROR, OTHER_BASE),
    "feed-forward": (ERROR, OTHER_BASE),
    "fewer-blocks": (WARNING, f"{OTHER_BASE}; {SAME_WEIGHTS}"),
    "tokens": (ERROR, OTHER_BASE),
    "vocabulary": (ERROR, "train without the new tokens, or --base with a model that has rows for them"),
    "added-tokens": (WARNING, f"Ollama does not know them as tokens of their own; {SAME_WEIGHTS}"),
    "bos": (WARNING, f"{OTHER_BASE}; {SAME_WEIGHTS}"),
    "eos": (WARNING, f"it may not stop where it was trained to: --parameter stop=…; {SAME_WEIGHTS}"),
    "pad": (NOTE, "Ollama does not pad: no harm"),
    "rope-base": (WARNING, f"{OTHER_BASE}; {SAME_WEIGHTS}"),
    "context": (WARNING, f"it may be another release of the same model; {SAME_WEIGHTS}"),
    "relative": (WARNING, f"{OTHER_BASE}; {SAME_WEIGHTS}"),
    "untold": (NOTE, "ollama show, or where the file comes from, may tell"),
}
"""Code → how bad it is, and what to do."""

MANY = 100
"""One token in so many may have another name in one tokenizer: converters rename reserved ones."""

SHOWN_TOKENS = 3
_HPARAM_KEYS = {
    "blocks": "{}.block_count",
    "hidden": "{}.embedding_length",
    "heads": "{}.attention.head_count",
    "kv_heads": "{}.attention.head_count_kv",
    "feed_forward": "{}.feed_forward_length",
}

_EXTRA_BLOCKS = "{}.nextn_predict_layers"
_COMPRESSED = ("{}.attention.kv_lora_rank", "{}.attention.q_lora_rank")
"""Settings of attention whose head counts a converter writes otherwise than config.json does."""

_SIZE_CODES = frozenset({"blocks", "hidden", "heads", "kv-heads", "feed-forward", "fewer-blocks"})
_TOKENS = frozenset({"tokens", "vocabulary", "added-tokens"})
_PLACEHOLDER = re.compile(r"\[PAD\d+\]|<\|?(?:dummy|reserved|unused|extra|pad)[\w|]*>|<pad>", re.IGNORECASE)
_VERSION = re.compile(r"v?[0-9]+(?:\.[0-9]+)*")
_SIZE = re.compile(r"[0-9.]+(?:x[0-9.]+)?[bm]|a[0-9.]+b")
_TALKS, _PLAIN = frozenset({"instruct", "chat", "it"}), frozenset({"base", "text", "pt"})
_NAME_PARTS = ("basename", "version", "size_label", "finetune")
_IDLE = frozenset({"hf", "bnb", "4bit", "unsloth", "model", "models", "meta", "gguf"})


def compare_base(trained: ExpectedBase, adapter: GgufFile, seen: ModelInfo) -> tuple[BaseMismatch, ...]:
    """Return everything in which a base is not what an adapter was trained on, the worst first.

    Args:
        trained: what is known of the base it was trained on.
        adapter: the header of the GGUF LoRA.
        seen: the base.
    """
    found = [_told(code, *texts) for code, *texts in _all(trained, adapter, seen)]
    order = (ERROR, WARNING, NOTE)
    return tuple(sorted(found, key=lambda each: order.index(each.level)))


def require_no_mismatch(trained: ExpectedBase, found: tuple[BaseMismatch, ...], seen: ModelInfo) -> list[str]:
    """Return what to tell the user of a base that may be taken: in what it agrees, then what is doubtful.

    Raises:
        ProofError: it is not the base the adapter was trained on, or with `strict` may not be.
    """
    stops = [each for each in found if _stops(each, trained)]
    if stops:
        lines = [f"  - {each}\n    try: {each.hint.format(code=each.code)}" for each in stops]
        is_not = "is not" if any(each.level == ERROR for each in stops) else "may not be"
        raise ProofError(
            "\n".join([f"{seen.name} {is_not} the base this adapter was trained on.", *lines]),
            subjects={each.code: [each.expected, each.found] for each in stops},
        )
    told = [_mismatch_line(each, trained) for each in found if each.level != NOTE]
    return [*_agreed(trained, found, seen), *told, *trained.notes]


def _agreed(trained: ExpectedBase, found: tuple[BaseMismatch, ...], seen: ModelInfo) -> Iterator[str]:
    """Yield in what a base and an adapter agree, and whether its relatives could be told from it."""
    doubtful = {each.code for each in found}
    plain = seen.shapes and not is_translated(seen.metadata, seen.shapes)
    agreed = ["every tensor and shape"] if plain else ["architecture"]
    if trained.hparams is not None and not doubtful & _SIZE_CODES:
        agreed.append("heads and blocks")
    if trained.vocabulary is not None and seen.vocabulary is not None:
        if not doubtful & _TOKENS:
            agreed.append(f"{len(trained.vocabulary.tokens)} tokens")
        both = trained.vocabulary.special.keys() & seen.vocabulary.special.keys() - doubtful
        agreed += [kind for kind in SPECIAL if kind in both]
    yield f"base proved: {seen.name} agrees in {', '.join(agreed)}"
    for each in found:
        if each.code == "untold":
            yield f"{trained.base_id} and its sister models are not told apart: the base has {each.found}"


def _mismatch_line(found: BaseMismatch, trained: ExpectedBase) -> str:
    if found.code in trained.accepted:
        return f"{found} (accepted)"
    return f"{found}; {found.hint.format(code=found.code)}"


def _stops(found: BaseMismatch, trained: ExpectedBase) -> bool:
    if found.code in trained.accepted and found.code not in FATAL:
        return False
    return found.level == ERROR or (trained.strict and found.level == WARNING)


def _told(code: str, expected: str, found: str) -> BaseMismatch:
    level, advice = MISMATCHES[code]
    return BaseMismatch(code, level, expected, found, advice)


def _all(trained: ExpectedBase, adapter: GgufFile, seen: ModelInfo) -> Iterator[tuple[str, str, str]]:
    metadata, shapes = translate_header(seen.metadata, seen.shapes)
    arch = str(metadata.get("general.architecture", ""))
    own = str(adapter.metadata.get("general.architecture", ""))
    if own != arch:
        yield "architecture", own, arch
        return
    if why := load_errors(adapter, metadata, shapes):
        more = f", and {len(why) - SHOWN_TOKENS} more" if len(why) > SHOWN_TOKENS else ""
        yield "fit", "", f"{'; '.join(why[:SHOWN_TOKENS])}{more}"
    yield from _number_mismatches(trained, metadata, arch)
    if trained.vocabulary is not None:
        yield from _token_mismatches(trained.vocabulary, seen)
    yield from _positions(trained, metadata, arch)
    yield from _name(trained.base_id, seen)


def _number_mismatches(
    trained: ExpectedBase, metadata: Mapping[str, object], arch: str
) -> Iterator[tuple[str, str, str]]:
    there = {
        name: value
        for name, key in _HPARAM_KEYS.items()
        if type(value := metadata.get(key.format(arch))) is int
    }
    if "blocks" in there and type(extra := metadata.get(_EXTRA_BLOCKS.format(arch))) is int:
        there["blocks"] -= extra
    if any(key.format(arch) in metadata for key in _COMPRESSED):
        there.pop("kv_heads", None)
    known = trained.hparams
    if known is None:
        if trained.blocks and trained.blocks < there.get("blocks", 0):
            yield "fewer-blocks", f"{trained.blocks} blocks, and changes each", str(there["blocks"])
        return
    for name, value in there.items():
        expected = getattr(known, name)
        if name == "feed_forward" and known.experts:
            continue  # of one expert, or of all: converters differ
        if expected and expected != value:
            words = name.replace("_", " ").replace("kv", "KV")
            yield name.replace("_", "-"), f"{expected} {words}", str(value)


def _token_mismatches(trained: Vocabulary, seen: ModelInfo) -> Iterator[tuple[str, str, str]]:
    base = seen.vocabulary
    rows = seen.shapes.get("token_embd.weight", (0,))[0] or (len(base.tokens) if base else 0)
    # A token for padding, which many trainers add, is in no prompt and no answer.
    own = {n: token for n, token in trained.tokens.items() if n != trained.special.get("pad", -1)}
    outside = {number: token for number, token in own.items() if rows and number >= rows}
    if outside:
        yield "vocabulary", f"the tokens {_some(outside)}", f"rows for {rows} tokens"
    if base is None or not base.tokens:
        return
    names = base.tokens
    known = {number: token for number, token in own.items() if number not in outside}
    added = {n: token for n, token in known.items() if n not in names or _is_free(names[n], token)}
    other = {n: token for n, token in known.items() if n not in added and not _same_token(names[n], token)}
    if len(other) * MANY > len(known):
        yield "tokens", f"the tokens {_some(other)}", _some({n: names[n] for n in other})
    else:
        added |= {number: token for number, token in other.items() if not _is_free(token, "")}
    if added:
        yield "added-tokens", f"the tokens {_some(added)}", _some({n: names.get(n, "") for n in added})
    yield from _special_token_mismatches(trained, base)


def _special_token_mismatches(trained: Vocabulary, base: Vocabulary) -> Iterator[tuple[str, str, str]]:
    for kind, number in trained.special.items():
        there = base.special.get(kind)
        if there is None or there == number:
            continue
        yield (
            kind,
            f"{trained.tokens.get(number, '')!r} ({number}) as {kind}",
            f"{base.tokens.get(there, '')!r} ({there})",
        )


def _same_token(one: str, other: str) -> bool:
    """Return whether two names are of one token: a space may be written as ``▁``."""
    return one == other or one.replace("\u2581", " ") == other.replace("\u2581", " ")


def _is_free(there: str, token: str) -> bool:
    """Return whether a base has no token of its own under an id that another tokenizer uses."""
    return there != token and _PLACEHOLDER.fullmatch(there) is not None


def _some(tokens: Mapping[int, str]) -> str:
    first = ", ".join(f"{tokens[number]!r} ({number})" for number in sorted(tokens)[:SHOWN_TOKENS])
    return f"{first} and {len(tokens) - SHOWN_TOKENS} more" if len(tokens) > SHOWN_TOKENS else first


def _positions(
    trained: ExpectedBase, metadata: Mapping[str, object], arch: str
) -> Iterator[tuple[str, str, str]]:
    rope, context = metadata.get(f"{arch}.rope.freq_base"), metadata.get(f"{arch}.context_length")
    if trained.rope_base and isinstance(rope, int | float) and abs(rope / trained.rope_base - 1) > 1e-4:
        yield "rope-base", f"a rope base of {trained.rope_base:g}", f"{rope:g}"
    if trained.context and isinstance(context, int) and context != trained.context:
        yield "context", f"a context of {trained.context} tokens", str(context)


def _name(base_id: str, seen: ModelInfo) -> Iterator[tuple[str, str, str]]:
    """Yield where names and versions in the header contradict the base's id, or tell nothing."""
    # A daemon does not show general.name, but the parts that a converter made of it.
    parts = [str(seen.metadata.get(f"general.{part}") or "") for part in _NAME_PARTS]
    called = str(seen.metadata.get("general.name") or " ".join(filter(None, parts)))
    if not base_id:
        return
    wanted, there = _words(base_id.rpartition("/")[2]), _words(called)
    if not there or there[0] != wanted[0]:
        if base_id:
            yield "untold", base_id, f"the name {called!r}" if called else "no name that is told"
        return
    if _contradict(set(wanted), set(there)):
        yield "relative", base_id, called
    elif set(wanted) != set(there):
        yield "untold", base_id, f"the name {called!r}"


def _contradict(wanted: set[str], there: set[str]) -> bool:
    both = (wanted, there)
    one, other = ({word.lstrip("v") for word in words if _VERSION.fullmatch(word)} for words in both)
    if one and other and one != other:
        return True
    sizes = [{word for word in words if _SIZE.fullmatch(word)} for words in both]
    if all(sizes) and sizes[0] != sizes[1]:
        return True
    if wanted & _TALKS:
        return bool(there & _PLAIN) or there == wanted - _TALKS
    return bool(there & _TALKS)


def _words(name: str) -> list[str]:
    """Return the words of a name that tell something, the family first: ``llama``, ``3.1``, ``8b``."""
    text = re.sub(r"(?<=[a-z]{3})-?(?=[0-9])", "-", name.lower(), count=1)
    return [word for word in re.split(r"[-_\s/]+", text) if word and word not in _IDLE] or [""]
