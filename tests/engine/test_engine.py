"""The process that llama.cpp runs in: it answers, and whatever happens to it becomes a clear error."""

import contextlib
import math
import os
import sys
import time

import pytest

from ollama_pack.engine import llama as engine
from ollama_pack.engine.answers import Asked, Weights
from ollama_pack.engine.llama import running_llama
from ollama_pack.engine.memory import machine_memory
from ollama_pack.errors import DestinationError, InputError, UnsupportedError, UsageError


@pytest.fixture
def weights(tmp_path):
    """Return a base with an adapter, as far as the stand-in reads them."""
    for name in ("base.gguf", "ada.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    return Weights(tmp_path / "base.gguf", (tmp_path / "ada.gguf",))


@pytest.fixture
def llama(stand_in_llama, weights):
    """Return a running one."""
    with running_llama(weights, silence=3) as running:
        yield running


def test_base_and_adapter_answer(llama):
    """Each request says which adapter acts, and each piece is heard as soon as it is there."""
    pieces = []
    base = llama.say(Asked("who are you"), pieces.append)
    adapted = llama.say(Asked("who are you", adapter=0))
    assert (base.text, adapted.text) == ("you are who", "who are you")
    assert (base.tokens, base.ended, pieces) == (3, True, ["you ", "are ", "who"])
    assert llama.name == "llama.cpp b1 (xllamacpp)"
    assert llama.memory > 0


def test_a_model_that_never_stops_is_cut_off(llama):
    """What does not end by itself ends at num_predict, and says so."""
    said = llama.say(Asked("go on forever", options={"num_predict": 5, "num_ctx": 9}))
    assert (said.tokens, said.ended) == (5, False)


def test_how_likely_an_answer_is(llama):
    """One number for each token, of the bare base and of the adapter, also for one that ends the answer."""
    assert llama.likelihoods("a", "bc\0") == pytest.approx([math.log(0.25)] * 3)
    assert llama.likelihoods("a", "bc\0", 0) == pytest.approx([math.log(0.5)] * 3)


def test_an_abort_is_told_with_the_last_line_of_the_log(llama, weights):
    """llama.cpp takes its own process with it, and nothing else."""
    with pytest.raises(DestinationError) as caught:
        llama.say(Asked("abort"))
    assert "GGML_ASSERT(n_tokens > 0) failed" in caught.value.what
    assert (caught.value.code, caught.value.where) == ("llama-ended", str(weights.base))
    if sys.platform != "win32":
        assert "SIGABRT" in caught.value.what


def test_silence_ends(llama):
    """A llama.cpp that says nothing for too long is ended."""
    started = time.monotonic()
    with pytest.raises(DestinationError, match="said nothing for 3 seconds"):
        llama.say(Asked("silence"))
    assert time.monotonic() - started < 30


def test_a_prompt_that_is_too_long(llama):
    """The words of llama.cpp say it, and it goes on."""
    with pytest.raises(InputError, match="does not accept the prompt: too long"):
        llama.say(Asked("x " * 5000))
    assert llama.say(Asked("a b c")).ended


def test_an_answer_is_given_up(llama):
    """Ctrl-C in the middle of an answer ends the answer, and not llama.cpp."""

    def enough(piece):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        llama.say(Asked("go on forever"), enough)
    assert llama.say(Asked("a b c")).text == "c b a"


def test_what_is_no_model_is_refused(stand_in_llama, weights):
    """The error has the line of the log that says why."""
    weights.adapters[0].write_bytes(b"no")
    with pytest.raises(InputError, match=r"cannot load base.gguf with ada.gguf.\n.*ada.gguf has no magic"):
        contextlib.ExitStack().enter_context(running_llama(weights))


def test_no_library(weights, tmp_path, monkeypatch):
    """Without either library, the extra that brings one is named."""
    for name in ("xllamacpp", "llama_cpp"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('{name}')", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        contextlib.ExitStack().enter_context(running_llama(weights))
    assert (caught.value.code, caught.value.hint) == ("extra-missing", engine.INSTALL)


def test_no_openmp(weights, tmp_path, monkeypatch):
    """A library that is there and cannot be loaded lacks what it is linked with."""
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('libgomp.so.1: cannot open')", "utf-8")
    (tmp_path / "llama_cpp.py").write_text("raise ModuleNotFoundError('llama_cpp')", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        contextlib.ExitStack().enter_context(running_llama(weights))
    assert "libgomp.so.1" in caught.value.what
    assert "apt install libgomp1" in caught.value.hint


@pytest.mark.skipif(sys.platform == "win32", reason="nothing tells the memory of this machine")
def test_a_model_larger_than_memory(weights):
    """It is refused before llama.cpp reads it: the machine would stand still."""
    os.truncate(weights.base, machine_memory() + 1)
    with pytest.raises(UnsupportedError) as caught:
        contextlib.ExitStack().enter_context(running_llama(weights))
    assert caught.value.code == "too-large"


def test_the_process_ends_with_its_block(stand_in_llama, weights):
    """Nothing is left running, however the block ends."""
    for error in (None, ValueError):
        with contextlib.suppress(ValueError), running_llama(weights) as running:
            if error:
                raise error
        assert running.process.poll() is not None
