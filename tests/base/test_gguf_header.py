"""A base is known from the header of its GGUF file."""

from dataclasses import replace

import numpy as np
import pytest
from gguf import GGUFWriter
from recipes import TINY, write_model

from ollama_pack.base.gguf_header import human_count, read_base_gguf
from ollama_pack.errors import InputError, UnsupportedError


@pytest.fixture
def read(tmp_path):
    """Return a function that reads the base of a header gguf-py fills, on top of what llama needs."""

    def read_header(fill=None, *, leave_out=(), arch="llama"):
        path = tmp_path / "base.gguf"
        writer = GGUFWriter(path, arch)
        numbers = {"block_count": 2, "embedding_length": 20, "attention.head_count": 4}
        for key, number in numbers.items():
            if key not in leave_out:
                writer.add_uint32(f"{arch}.{key}", number)
        if fill is not None:
            fill(writer)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return read_base_gguf(path)

    return read_header


def test_whole_model(tiny_gguf, tiny_shapes):
    """All sizes, and every weight, are those the model was written with."""
    base = read_base_gguf(tiny_gguf, tag="tiny:latest")
    expected = replace(
        TINY,
        hparams=replace(TINY.hparams, tied=True),
        origin="header of tiny.gguf",
        source_id="",
        gguf=tiny_gguf,
        tensors=tiny_shapes,
        details=base.details,
    )
    assert base == expected


def test_untied_model(tmp_path):
    """A model with a head of its own has it among its weights."""
    base = read_base_gguf(write_model(tmp_path / "untied.gguf", tied=False))
    assert base.tensors["output.weight"] == (50, 20)


def test_details(tiny_gguf):
    """Family, size and file type are spelled as in Ollama's configuration."""
    assert read_base_gguf(tiny_gguf).details == {
        "model_family": "llama",
        "model_type": "7K",
        "file_type": "unknown",
    }


def test_details_of_the_header(read):
    """A header that counts its parameters and names its file type is believed."""

    def fill(writer):
        writer.add_uint64("general.parameter_count", 134_515_008)
        writer.add_uint32("general.file_type", 15)

    details = read(fill).details
    assert (details["model_type"], details["file_type"]) == ("134.52M", "Q4_K_M")


def test_unknown_file_type(read):
    """A file type from the future is unknown, not a failure."""
    assert read(lambda writer: writer.add_uint32("general.file_type", 999)).details["file_type"] == "unknown"


def test_derived_sizes(read):
    """What the header leaves out follows from the rest, or is 0: unknown."""
    base = read()
    assert (base.hparams.kv_heads, base.hparams.head_dim, base.hparams.feed_forward, base.hparams.vocab) == (
        4,
        5,
        0,
        0,
    )


def test_vocabulary_from_embeddings(read):
    """Without tokens the vocabulary is as long as the embeddings."""
    base = read(lambda writer: writer.add_tensor("token_embd.weight", np.ones((7, 20), np.float32)))
    assert base.hparams.vocab == 7


@pytest.mark.parametrize("count", [3, 5000])
def test_vocabulary_from_tokens(read, count):
    """Tokens are counted, in a list short or long."""
    assert read(lambda writer: writer.add_token_list(["x"] * count)).hparams.vocab == count


@pytest.mark.parametrize("key", ["block_count", "embedding_length", "attention.head_count"])
def test_missing_sizes(read, key):
    """A header without a size that is needed is told with the key."""
    with pytest.raises(InputError, match="key is missing") as caught:
        read(leave_out=[key])
    assert caught.value.where.endswith(f": llama.{key}")


def test_same_heads_in_every_layer(read):
    """A list of equal numbers of heads is that number."""
    assert (
        read(lambda writer: writer.add_array("llama.attention.head_count_kv", [2, 2])).hparams.kv_heads == 2
    )


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([4] * 2000, id="a list of thousands"),
        pytest.param([True, True], id="a list of truths"),
        pytest.param([0, 0], id="no heads"),
        pytest.param([4, -2], id="less than none"),
    ],
)
def test_wrong_heads(read, value):
    """Heads that are no numbers, or nowhere above zero, are told with the key."""
    with pytest.raises(InputError, match="not a number of heads") as caught:
        read(lambda writer: writer.add_array("llama.attention.head_count_kv", value))
    assert "head_count_kv" in caught.value.where


def test_other_heads_in_each_layer(read):
    """Blocks of different heads have their own; one without attention has the most there are."""
    base = read(lambda writer: writer.add_array("llama.attention.head_count_kv", [4, 0, 2]))
    assert (base.hparams.kv_heads, base.hparams.heads_per_layer) == (4, ((4, 4), (4, 4), (4, 2)))
    assert [base.hparams.at_layer(block).kv_heads for block in (-1, 0, 1, 2, 3)] == [4, 4, 4, 2, 4]


@pytest.mark.parametrize("kv_heads", [2, [2, 2]])
def test_other_query_heads_in_each_layer(read, kv_heads):
    """Where only the query heads differ, each block has the key-value heads of all."""

    def fill(writer):
        writer.add_head_count([4, 8])
        writer.add_head_count_kv(kv_heads)

    assert read(fill, leave_out=["attention.head_count"]).hparams.heads_per_layer == ((4, 2), (8, 2))


def test_other_feed_forward_in_each_layer(read):
    """Layers of different inner size leave it unknown: their weights' shapes are checked anyway."""
    assert (
        read(lambda writer: writer.add_array("llama.feed_forward_length", [28, 56])).hparams.feed_forward == 0
    )


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        pytest.param("general.source.repo_url", "https://huggingface.co/org/model", "org/model", id="source"),
        pytest.param("general.repo_url", "https://huggingface.co/org/model", "org/model", id="repository"),
        pytest.param("general.source.huggingface.repository", "org/model", "org/model", id="an id"),
        pytest.param("general.repo_url", "https://example.com/org/model", "", id="another host"),
        pytest.param("general.name", "org/model", "", id="a mere name"),
    ],
)
def test_source(read, key, value, found):
    """The Hugging Face id is taken from where converters write it."""
    assert read(lambda writer: writer.add_string(key, value)).source_id == found


def test_adapter_for_a_base(read):
    """A GGUF LoRA is no base."""
    with pytest.raises(InputError, match="type 'adapter', not a model"):
        read(lambda writer: writer.add_type("adapter"))


def test_split_model(read):
    """A part of several that is not named as one is told how they are named."""
    with pytest.raises(InputError, match="split over 3 files") as caught:
        read(lambda writer: writer.add_uint16("split.count", 3))
    assert "llama-gguf-split" in caught.value.hint


def test_split_in_one_part(read):
    """A split of one part is whole."""
    assert read(lambda writer: writer.add_uint16("split.count", 1)).hparams.blocks == 2


def test_no_architecture(tmp_path):
    """A header without an architecture is told with the key."""
    path = tmp_path / "empty.gguf"
    path.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + bytes(16))
    with pytest.raises(InputError) as caught:
        read_base_gguf(path)
    assert caught.value.where.endswith(": general.architecture")


def test_directory(tmp_path):
    """A directory is told to be one, with what is wanted."""
    with pytest.raises(InputError, match="directory"):
        read_base_gguf(tmp_path)


def test_missing_file(tmp_path):
    """A file that is not there is an InputError."""
    with pytest.raises(InputError, match="No such file"):
        read_base_gguf(tmp_path / "none.gguf")


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1K"), (7_890, "8K"), (1_000_000, "1M"), (134_515_008, "134.52M"),
     (7_000_000_000, "7B"), (6_738_415_616, "6.7B"), (2**260, f"{2**260 / 10**9:.1f}B")],
)  # fmt: skip
def test_human_count(number, text):
    """Parameters are counted in Ollama's words."""
    assert human_count(number) == text


def test_a_base_in_a_form_of_ollamas_own(read):
    """A base that Ollama translates is told as llama.cpp sees it; its details stay as they are."""

    def fill(writer):
        writer.add_tensor("blk.0.attn_out.weight", np.ones((20, 20), np.float32))

    base = read(fill, arch="gptoss")
    assert (base.hparams.arch, base.hparams.heads, list(base.tensors)) == (
        "gpt-oss",
        4,
        ["blk.0.attn_output.weight"],
    )
    assert base.details["model_family"] == "gptoss"


def test_a_base_that_nothing_runs(read):
    """Llama 3.2 Vision in Ollama's own form is refused with the reason."""
    with pytest.raises(UnsupportedError, match=r"which llama\.cpp does not support"):
        read(arch="mllama")
