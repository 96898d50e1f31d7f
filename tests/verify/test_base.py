"""The base proof: right pairs raise no alarm, and what is one thing away from right is found by name."""

from dataclasses import replace
from types import MappingProxyType

import pytest
from known_bases import BASE, ID, SEEN, header, lora, tokens, trained, vocabulary
from real_names import RIGHT

from ollama_pack.base.expected import ExpectedBase
from ollama_pack.base.lookup import find_entry
from ollama_pack.errors import ProofError
from ollama_pack.gguf.model_info import ModelInfo
from ollama_pack.pipeline.request import ACCEPTABLE_MISMATCHES
from ollama_pack.verify.base import compare_base, require_no_mismatch
from ollama_pack.verify.base_mismatch import ERROR, FATAL, MISMATCHES, NOTE, WARNING

KNOWN = {base_id: entry for base_id in RIGHT if (entry := find_entry(base_id)) is not None}
COMPLETE = [base_id for base_id, entry in KNOWN.items() if entry.arch and entry.blocks and entry.heads]


def codes(found) -> dict[str, str]:
    """Return code → level."""
    return {each.code: each.level for each in found}


def alarms(found) -> set[str]:
    """Return the codes of errors and warnings."""
    return {each.code for each in found if each.level != NOTE}


@pytest.mark.parametrize("base_id", COMPLETE)
def test_a_right_pair_raises_no_alarm(base_id):
    """The real name of a file of the very base, and the catalog's numbers: neither error nor warning."""
    known = trained(base_id)
    found = compare_base(known, lora(known.hparams), header(known.hparams, RIGHT[base_id]))
    assert alarms(found) == set(), found
    line, *apart = require_no_mismatch(known, found, SEEN)
    assert "agrees in every tensor and shape, heads and blocks, 40 tokens, bos, eos" in line
    assert all("cannot be told from" in other for other in apart)


def test_there_are_enough_right_pairs():
    """Twenty at least."""
    assert len(COMPLETE) >= 20


def changed(**metadata) -> ModelInfo:
    """Return the right base with other metadata; ``__`` stands for a dot."""
    return replace(SEEN, metadata={**SEEN.metadata, **{k.replace("__", "."): v for k, v in metadata.items()}})


def base_tokens(special=MappingProxyType({}), **names) -> ModelInfo:
    """Return the right base with other tokens, ``t5="x"``, or special ones."""
    renamed = {int(key[1:]): token for key, token in names.items()}
    there = vocabulary(tokens={**tokens(), **renamed}, special={"bos": 1, "eos": 2, "pad": 0, **special})
    return replace(SEEN, vocabulary=there)


def tokenizer(special=MappingProxyType({}), **names) -> ExpectedBase:
    """Return an adapter with other tokens or special ones than the base has."""
    renamed = {int(key[1:]): token for key, token in names.items()}
    own = vocabulary(tokens={**tokens(), **renamed}, special={"bos": 1, "eos": 2, "pad": 0, **special})
    return trained(vocabulary=own)


def merges_of_base(*merges: str) -> ModelInfo:
    """Return the right base with merges."""
    return replace(SEEN, vocabulary=vocabulary(merges=merges))


def merging(*merges: str) -> ExpectedBase:
    """Return an adapter whose tokenizer has merges."""
    return trained(vocabulary=vocabulary(merges=merges))


def named(base_id: str, name: str) -> tuple[ExpectedBase, ModelInfo]:
    """Return an adapter of one base, and a file of another name and the same shape."""
    known = trained(base_id)
    return known, header(known.hparams, name)


TOOL = tokenizer(t39="<tool>")
OTHERS = {f"t{number}": f"\u2581x{number}" for number in range(5, 30)}
ONE_AWAY = {
    "other architecture": (trained(), changed(general__architecture="qwen2"), "architecture", ERROR),
    "adapter of another architecture": (trained(), SEEN, "architecture", ERROR),
    "a layer less": (trained(), replace(SEEN, shapes={"token_embd.weight": (40, 4096)}), "fit", ERROR),
    "wider tensors": (trained(), SEEN, "fit", ERROR),
    "one block more": (trained(), changed(llama__block_count=33), "blocks", ERROR),
    "one block less": (trained(), changed(llama__block_count=31), "blocks", ERROR),
    "narrower": (trained(), changed(llama__embedding_length=4095), "hidden", ERROR),
    "twice the heads": (trained(), changed(llama__attention__head_count=64), "heads", ERROR),
    "one head less": (trained(), changed(llama__attention__head_count=31), "heads", ERROR),
    "other KV heads": (trained(), changed(llama__attention__head_count_kv=4), "kv-heads", ERROR),
    "no grouped heads": (trained(), changed(llama__attention__head_count_kv=32), "kv-heads", ERROR),
    "other heads of the same width": (
        trained(), changed(llama__attention__key_length=64), "head-dim", ERROR,
    ),
    "no size of a head": (
        trained(hparams=replace(BASE, head_dim=64)), changed(llama__attention__key_length=None), "head-dim",
        ERROR,
    ),
    "rows placed for other heads": (
        trained(hparams=None, placed=replace(BASE, heads=64, kv_heads=16, head_dim=64)), SEEN, "row-order",
        ERROR,
    ),
    "rows placed for other heads, and a base that nobody knows": (
        ExpectedBase(placed=replace(BASE, kv_heads=16)), SEEN, "row-order", ERROR,
    ),
    "other feed-forward": (trained(), changed(llama__feed_forward_length=14000), "feed-forward", ERROR),
    "more blocks than are changed": (trained(hparams=None, blocks=30), SEEN, "fewer-blocks", WARNING),
    "tokens renamed": (trained(), base_tokens(**OTHERS), "tokens", ERROR),
    "two tokens exchanged": (trained(), base_tokens(t5="\u2581w6", t6="\u2581w5"), "tokens", ERROR),
    "one new token too many": (tokenizer(t40="<new>"), SEEN, "vocabulary", ERROR),
    "many new tokens": (tokenizer(**{f"t{n}": f"<{n}>" for n in range(40, 60)}), SEEN, "vocabulary", ERROR),
    "a token in a padded row": (trained(), base_tokens(t39="[PAD39]"), "added-tokens", WARNING),
    "a token in a reserved row": (TOOL, base_tokens(t39="<|reserved_7|>"), "added-tokens", WARNING),
    "a token in an unused row": (TOOL, base_tokens(t39="<unused7>"), "added-tokens", WARNING),
    "a token in a dummy row": (TOOL, base_tokens(t39="<dummy00039>"), "added-tokens", WARNING),
    "another merge": (merging("a b", "c d"), merges_of_base("a b", "d c"), "merges", WARNING),
    "merges in another order": (merging("a b", "c d"), merges_of_base("c d", "a b"), "merges", WARNING),
    "a merge more": (merging("a b", "c d"), merges_of_base("a b"), "merges", WARNING),
    "a merge less": (merging("a b"), merges_of_base("a b", "c d"), "merges", WARNING),
    "other begin": (tokenizer({"bos": 3}), SEEN, "bos", WARNING),
    "other begin in the base": (trained(), base_tokens({"bos": 4}), "bos", WARNING),
    "other end": (tokenizer({"eos": 3}), SEEN, "eos", WARNING),
    "other end in the base": (trained(), base_tokens({"eos": 5}), "eos", WARNING),
    "other padding": (tokenizer({"pad": 3}), SEEN, "pad", NOTE),
    "padding of its own": (tokenizer({"pad": 40}, t40="[PAD]"), SEEN, "pad", NOTE),
    "padding in a free row": (tokenizer({"pad": 39}, t39="<pad>"), base_tokens(t39="[PAD39]"), "pad", NOTE),
    "rope base of another release": (trained(rope_base=10000.0), SEEN, "rope-base", WARNING),
    "rope base of the base": (trained(), changed(llama__rope__freq_base=1000000.0), "rope-base", WARNING),
    "no rope base, which is 10000": (trained(), changed(llama__rope__freq_base=None), "rope-base", WARNING),
    "norms of another release": (
        trained(norm_epsilon=1e-6), SEEN, "norm-epsilon", WARNING,
    ),
    "norms of the base": (
        trained(), changed(llama__attention__layer_norm_rms_epsilon=9.99e-7), "norm-epsilon", WARNING,
    ),
    "shorter context": (trained(), changed(llama__context_length=8192), "context", WARNING),
    "longer context": (trained(context=8192), SEEN, "context", WARNING),
    "Llama 3 for 3.1": (trained(), changed(general__name="Meta Llama 3 8B Instruct"), "relative", WARNING),
    "Llama 3.1 plain": (trained(), changed(general__name="Meta Llama 3.1 8B"), "relative", WARNING),
    "Llama 3.1 base": (trained(), changed(general__name="Llama 3.1 8B Base"), "relative", WARNING),
    "another size": (trained(), changed(general__name="Llama 3.1 70B Instruct"), "relative", WARNING),
    "Mistral v0.2 for v0.1": (*named("mistralai/Mistral-7B-v0.1", "Mistral-7B-v0.2"), "relative", WARNING),
    "Mistral v0.2 for v0.3": (
        *named("mistralai/Mistral-7B-Instruct-v0.3", "Mistral 7B Instruct v0.2"), "relative", WARNING,
    ),
    "Mistral to talk": (
        *named("mistralai/Mistral-7B-v0.1", "mistral-7b-instruct-v0.1"), "relative", WARNING,
    ),
    "Qwen2.5 plain": (*named("Qwen/Qwen2.5-7B-Instruct", "Qwen2.5 7B"), "relative", WARNING),
    "Qwen2.5 to talk": (*named("Qwen/Qwen2.5-7B", "Qwen2.5 7B Instruct"), "relative", WARNING),
    "Qwen2 for Qwen2.5": (*named("Qwen/Qwen2.5-7B-Instruct", "Qwen2 7B Instruct"), "relative", WARNING),
    "Llama 2 to talk": (*named("meta-llama/Llama-2-7b-hf", "Llama 2 7b chat hf"), "relative", WARNING),
    "Vicuna 1.3": (*named("lmsys/vicuna-7b-v1.5", "vicuna-7b-v1.3"), "relative", WARNING),
    "Nemo of another month": (
        *named("mistralai/Mistral-Nemo-Instruct-2407", "Mistral Nemo Instruct 2411"), "relative", WARNING,
    ),
    "a name in its parts": (
        trained(), changed(general__name="", general__basename="Meta-Llama-3.1", general__size_label="8B"),
        "relative", WARNING,
    ),
    "a name that tells nothing": (trained(), changed(general__name="models"), "untold", NOTE),
    "no name": (trained(), changed(general__name=""), "untold", NOTE),
}  # fmt: skip


@pytest.mark.parametrize("case", ONE_AWAY)
def test_one_thing_away(case):
    """Each is found, by its code and level, with what was expected, what was found, and what to do."""
    known, seen, code, level = ONE_AWAY[case]
    numbers = known.hparams or BASE
    arch = "qwen2" if case == "adapter of another architecture" else ""
    adapter = lora(numbers, arch, width=4100 if case == "wider tensors" else 0)
    found = compare_base(known, adapter, seen)
    assert codes(found).get(code) == level, found
    told = next(each for each in found if each.code == code)
    assert told.found
    assert told.hint
    assert alarms(found) <= {code, "added-tokens"}, "nothing else is wrong"


def test_there_are_enough_cases():
    """Forty at least, and every code is raised by one of them."""
    assert len(ONE_AWAY) >= 40
    assert {code for _, _, code, _ in ONE_AWAY.values()} == set(MISMATCHES) - {"moved"}


def test_an_error_stops_and_is_taken_by_its_code():
    """An error ends in exit code 5, with the code that takes it; what does not load nobody can take."""
    known, seen, *_ = ONE_AWAY["twice the heads"]
    found = compare_base(known, lora(BASE), seen)
    with pytest.raises(ProofError, match="heads: the adapter was trained with 32 heads") as caught:
        require_no_mismatch(known, found, SEEN)
    assert list(caught.value.subjects) == ["heads"]
    _, line = require_no_mismatch(replace(known, accepted=frozenset({"heads"})), found, SEEN)
    assert line.endswith("(accepted)")
    known, seen, *_ = ONE_AWAY["a layer less"]
    found = compare_base(known, lora(BASE), seen)
    with pytest.raises(ProofError, match="fit: "):
        require_no_mismatch(replace(known, accepted=FATAL), found, SEEN)


def test_strict_makes_warnings_errors():
    """A warning is told; with --strict it stops, unless it is taken by its code; a note never does."""
    known, seen, *_ = ONE_AWAY["other end"]
    found = compare_base(known, lora(BASE), seen)
    agreed, line = require_no_mismatch(known, found, SEEN)
    assert "eos" not in agreed
    assert line.startswith("eos: ")
    assert "--base-mismatch-ok eos" in line
    with pytest.raises(ProofError, match=r"may not be the base(.|\n)*eos: "):
        require_no_mismatch(replace(known, strict=True), found, SEEN)
    assert require_no_mismatch(replace(known, strict=True, accepted=frozenset({"eos"})), found, SEEN)
    known, seen, *_ = ONE_AWAY["other padding"]
    (agreed,) = require_no_mismatch(replace(known, strict=True), compare_base(known, lora(BASE), seen), SEEN)
    assert "pad" not in agreed


def test_relatives_that_cannot_be_told_apart_are_told():
    """Where the header's name does not decide, that is said with the name."""
    known, seen, *_ = ONE_AWAY["a name that tells nothing"]
    _, line = require_no_mismatch(known, compare_base(known, lora(BASE), seen), SEEN)
    assert line == f"{ID} cannot be told from related models: the base has the name 'models'"


def test_the_command_line_knows_the_codes():
    """What may be taken is every code but those of what does not load."""
    assert set(ACCEPTABLE_MISMATCHES) == set(MISMATCHES) - FATAL


def test_a_name_in_its_parts_is_one():
    """What a daemon shows, which leaves the name itself out, tells the right base as the name does."""
    parts = {
        "general__basename": "Meta-Llama-3.1",
        "general__size_label": "8B",
        "general__finetune": "Instruct",
    }
    assert compare_base(trained(), lora(BASE), changed(general__name="", **parts)) == ()


def test_merges_are_told_where_both_sides_have_them():
    """Equal merges are in the line; where one side has none, they were not compared, and no line says so."""
    for known, seen, told in (
        (merging("a b", "c d"), merges_of_base("a b", "c d"), True),
        (merging("a b", "c d"), SEEN, False),
        (trained(), merges_of_base("a b"), False),
    ):
        found = compare_base(known, lora(BASE), seen)
        line, *_ = require_no_mismatch(known, found, seen)
        assert (alarms(found), "2 merges" in line, "merges" in line) == (set(), told, told)
        assert line.startswith("base proved: ")
    far = replace(merging("a b"), vocabulary=vocabulary(tokens=tokens(3), merges=("a b",)))
    seen = replace(
        merges_of_base("c d"), vocabulary=vocabulary(tokens={0: "x", 1: "y", 2: "z"}, merges=("c d",))
    )
    assert "merges" not in codes(compare_base(far, lora(BASE), seen)), "another tokenizer has other merges"


def test_nothing_is_called_proved_that_was_not_compared():
    """Tokens that a base does not tell, and what is taken in spite of a disagreement, are not in the line."""
    mute = replace(SEEN, vocabulary=None)
    line, *_ = require_no_mismatch(trained(), compare_base(trained(), lora(BASE), mute), mute)
    assert line.startswith("base proved in part: ")
    bare = trained(vocabulary=None)
    assert require_no_mismatch(bare, (), SEEN)[0].startswith("base proved in part: ")
    assert "tokens" not in line
    assert "eos" not in line
    known, seen, *_ = ONE_AWAY["twice the heads"]
    taken = replace(known, accepted=frozenset({"heads"}))
    line, *_ = require_no_mismatch(taken, compare_base(taken, lora(BASE), seen), seen)
    assert "heads" not in line
    bare = replace(SEEN, shapes={})
    assert "tensor" not in require_no_mismatch(trained(), compare_base(trained(), lora(BASE), bare), bare)[0]


def test_nothing_known_nothing_found():
    """An adapter that says nothing of its base is compared by shapes alone, and no alarm is made up."""
    assert compare_base(ExpectedBase(), lora(BASE), SEEN) == ()


def test_spaces_have_two_spellings():
    """A space in a token's name may be written as the sign SentencePiece has for it."""
    spaced = {number: token.replace("\u2581", " ") for number, token in tokens().items()}
    assert compare_base(trained(), lora(BASE), replace(SEEN, vocabulary=vocabulary(tokens=spaced))) == ()
