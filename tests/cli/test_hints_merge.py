"""What a message about merging says is done by the letter, and then a merged file is made."""

import re
import shlex

import numpy as np
import pytest
from following import hint_of, succeeds
from ggml_builds import hide_ggml, offer_ggml
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFWriter, quantize
from gguf.quants import quant_shape_to_byte_shape
from recipes import write_adapter, write_model
from terminal import add_base

QUERY = "blk.0.attn_q.weight"


def test_merging(ada, tiny_gguf, tmp_path, make_adapter):
    """Each option that merge names makes a merged file of the same adapter."""
    out = ("--out", tmp_path / "merged.gguf")
    words = ("merge", ada, "--base", tiny_gguf)
    (tmp_path / "merged.gguf").write_bytes(b"mine")
    hint = hint_of(*words, *out, code="file-in-the-way")
    assert hint == "--out with another place, or move the file away"
    succeeds(*words, "--out", tmp_path / "other.gguf")
    (tmp_path / "merged.gguf").unlink()
    hint = hint_of("merge", ada, "--base", "smollm2:135m", *out, code="does-not-fit")
    alora = make_adapter("alora", config={"alora_invocation_tokens": [5, 6]})
    hint = hint_of("merge", alora, "--base", tiny_gguf, *out, code="not-mergeable")
    command = hint.partition(",")[0]
    succeeds(*shlex.split(command)[1:], alora, "--base", tiny_gguf, "--via", "folder")


def write_base(path, kind=Kind.F32, name=QUERY):
    """Write the one weight of SmolLM2 that the adapter `smol` changes, with its numbers."""
    writer = GGUFWriter(path, "llama")
    for add, value in (
        (writer.add_block_count, 30),
        (writer.add_embedding_length, 576),
        (writer.add_feed_forward_length, 1536),
        (writer.add_head_count, 9),
        (writer.add_head_count_kv, 3),
        (writer.add_layer_norm_rms_eps, 1e-5),
        (writer.add_rope_freq_base, 100000.0),
        (writer.add_context_length, 8192),
    ):
        add(value)
    numbers = np.random.default_rng(7).normal(0, 0.1, (576, 576)).astype(np.float32)
    try:
        content = quantize(numbers, kind)
    except NotImplementedError:  # gguf-py reads more types than it writes
        content = np.zeros(quant_shape_to_byte_shape(numbers.shape, kind), np.uint8)
    writer.add_tensor(name, content, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_base_that_is_no_file(smol, tmp_path):
    """Merging wants the weights: with the file that holds them, it merges."""
    words = ("merge", smol, "--out", tmp_path / "merged.gguf")
    hint = hint_of(*words, code="base-no-file")
    assert hint == "--base FILE.gguf, with the GGUF file of that model"
    succeeds(*words, "--base", write_base(tmp_path / "smol.gguf"))


def test_a_type_that_keeps_too_little(smol, tmp_path):
    """Both types of the message keep a change that Q8_0, which auto takes here too, rounds away."""
    rough = write_base(tmp_path / "q8_0.gguf", Kind.Q8_0)
    out = ("--out", tmp_path / "merged.gguf", "--scale", "0.001")
    hint = hint_of("merge", smol, "--base", rough, *out, "--merge-type", "same", code="kept")
    assert hint == "--merge-type f16 keeps more of it, and --merge-type f32 keeps all of it"
    assert hint_of("merge", smol, "--base", rough, *out, "--merge-type", "auto", code="kept") == hint
    for option in re.findall(r"--merge-type \S+", hint):
        succeeds("merge", smol, "--base", rough, *out, *option.split())


@pytest.mark.llama
def test_without_llama_cpp(smol, tmp_path, monkeypatch):
    """A type that llama.cpp writes names the extra before anything is written; with it, the file is made."""
    base = write_base(tmp_path / "base.gguf", Kind.IQ4_NL)
    words = ("merge", smol, "--base", base, "--out", tmp_path / "merged.gguf", "--merge-type", "same")
    with monkeypatch.context() as without:
        hide_ggml(without)
        assert hint_of(*words, code="extra-missing") == "pip install 'ollama-pack[try]'"
    offer_ggml(monkeypatch)
    succeeds(*words, "--min-kept", "0")


@pytest.mark.parametrize(
    ("kind", "code", "told"),
    [
        (Kind.Q8_1, "unknown-type", "--base with another quantisation of the model"),
        (Kind.MXFP4, "type-not-written", "--merge-type auto"),
    ],
)
def test_a_type_that_is_not_read_or_written(smol, tmp_path, kind, code, told):
    """Another quantisation of the base, or the type that the option names, is merged."""
    base = write_base(tmp_path / "base.gguf", kind)
    words = ("merge", smol, "--out", tmp_path / "merged.gguf", "--base")
    assert hint_of(*words, base, "--merge-type", "same", code=code) == told
    again = write_base(tmp_path / "again.gguf", Kind.Q8_0) if told.startswith("--base") else base
    succeeds(*words, again, "--merge-type", "auto")


def test_a_base_with_an_adapter(ada, tmp_path, models):
    """The model without the adapter is merged into; without --merge, the build is FROM the model itself."""
    add_base(models, write_model(tmp_path / "t.gguf"), "tiny", "latest")
    succeeds("build", ada, "first", "--base", "tiny", "--via", "store")
    other = write_adapter(tmp_path / "other-lora", seed=9)
    words = ("build", other, "other", "--via", "store")
    hint = hint_of(*words, "--base", "first", "--merge", code="base-has-adapter")
    assert hint == "--base with the model that its adapter was made for; or leave out --merge"
    succeeds(*words, "--base", "tiny", "--merge")


@pytest.mark.llama
def test_behaviour(smol, tmp_path, monkeypatch):
    """What cannot be compared is merged without --kept-on; and a text that can be read is compared on."""
    from archive import unpacked

    offer_ggml(monkeypatch)
    text = tmp_path / "text.txt"
    text.write_bytes(b"\xff")
    words = ("merge", smol, "--base", write_base(tmp_path / "base.gguf"), "--out", tmp_path / "merged.gguf")
    hint = hint_of(*words, "--kept-on", text, code="no-text")
    assert hint.startswith("--kept-on with a text in UTF-8")
    text.write_text("Who are you?")
    assert hint_of(*words, "--kept-on", text, code="not-run") == "leave out --kept-on"
    succeeds(*words)
    kinds = unpacked("kinds", "llama")
    words = ("merge", kinds / "dora", "--base", kinds / "base.gguf", "--out", tmp_path / "dora.gguf")
    assert hint_of(*words, "--kept-on", text, code="not-comparable") == "leave out --kept-on"
    succeeds(*words)
