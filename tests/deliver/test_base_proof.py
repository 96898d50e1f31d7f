"""The base proof where the base is seen, a file, a store or a daemon; before anything is registered."""

from dataclasses import replace

import pytest
from scratch_store import BASE_TAG, snapshot
from ways import live

from ollama_pack.base.expected import ExpectedBase
from ollama_pack.errors import ProofError
from ollama_pack.gguf.model_info import Vocabulary, read_model_info, vocabulary_of
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.verify.base import compare_base
from ollama_pack.verify.base_mismatch import NOTE


def own_tokens(gguf_base, **special) -> Vocabulary:
    """Return the tokenizer that fits the tiny base, with other special tokens."""
    seen = read_model_info(gguf_base).vocabulary
    return replace(seen, special={**seen.special, **special}, origin="tokenizer.json")


def one_more(gguf_base) -> ExpectedBase:
    """Return an adapter with a token that the base has no row for."""
    own = own_tokens(gguf_base)
    return ExpectedBase(vocabulary=replace(own, tokens={**own.tokens, len(own.tokens): "<new>"}))


def renamed(gguf_base) -> ExpectedBase:
    """Return an adapter whose letters are another tokenizer's."""
    own = own_tokens(gguf_base)
    return ExpectedBase(vocabulary=replace(own, tokens={n: f"{t}!" for n, t in own.tokens.items()}))


def ends_otherwise(gguf_base) -> ExpectedBase:
    """Return an adapter that stops at another token."""
    return ExpectedBase(vocabulary=own_tokens(gguf_base, eos=5))


def fits(gguf_base) -> ExpectedBase:
    """Return an adapter with the tokenizer of the base."""
    return ExpectedBase(vocabulary=own_tokens(gguf_base))


CASES = {fits: set(), one_more: {"vocabulary"}, renamed: {"tokens"}, ends_otherwise: {"eos"}}


def verdict(found) -> dict[str, tuple[str, str, str]]:
    """Return what a proof found, but for notes."""
    return {each.code: (each.level, each.expected, each.found) for each in found if each.level != NOTE}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("whom", [live("fake 0.33"), live("real daemon")])
def test_a_daemon_shows_what_the_file_has(whom, case, package, gguf_base, request):
    """The verdict through /api/show is that of the file."""
    server = request.getfixturevalue("real" if whom[0] == "real daemon" else "fake")
    trained, adapter = case(gguf_base), read_gguf(package.adapter.path)
    seen = read_model_info(gguf_base)
    with Daemon(server.address) as daemon:
        shown = daemon.show(BASE_TAG, verbose=True)
    there = replace(
        seen, metadata=shown.metadata, shapes=shown.shapes, vocabulary=vocabulary_of(shown.metadata, "daemon")
    )
    assert verdict(compare_base(trained, adapter, there)) == verdict(compare_base(trained, adapter, seen))
    assert verdict(compare_base(trained, adapter, seen)).keys() == CASES[case]


def test_a_wrong_base_is_not_registered(way, package, gguf_base):
    """Every delivery stops before anything of the adapter is there."""
    before = snapshot(way.store)
    with pytest.raises(ProofError, match="tokens: the adapter was trained with"):
        way.put(replace(package, trained=renamed(gguf_base)))
    assert snapshot(way.store) == before


def test_a_doubtful_base_is_told(way, package, gguf_base):
    """A warning is told with the code that takes it; taken, it is told all the same; strict, it stops."""
    doubtful = replace(package, trained=ends_otherwise(gguf_base))
    with pytest.raises(ProofError, match="eos: "):
        way.put(replace(doubtful, trained=replace(doubtful.trained, strict=True)))
    assert any("--base-mismatch-ok eos" in line for line in way.put(doubtful).lines)
    taken = replace(doubtful.trained, strict=True, accepted=frozenset({"eos"}))
    assert any(line.endswith("(accepted)") for line in way.put(replace(doubtful, trained=taken)).lines)


def test_a_right_base_says_nothing(way, package, gguf_base):
    """Where all agree there is no line about the base."""
    plain = way.put(package)
    proved = way.put(replace(package, trained=fits(gguf_base), system="Be new."))
    assert not [line for line in (*plain.lines, *proved.lines) if "--base-mismatch-ok" in line]
