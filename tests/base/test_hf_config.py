"""A base from its config.json: sizes, and nothing of its weights."""

import json
from pathlib import Path

import pytest
from recipes import TINY

from ollama_pack.arch.multipliers import MULTIPLIERS
from ollama_pack.base.find import BaseReferences, find_base, same_base
from ollama_pack.base.hf_config import read_config
from ollama_pack.errors import InputError, UnsupportedError

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2, "num_attention_heads": 4,
    "hidden_size": 20, "num_key_value_heads": 2, "head_dim": 6, "intermediate_size": 28, "vocab_size": 50,
    "tie_word_embeddings": False,
}  # fmt: skip


@pytest.fixture
def read(tmp_path):
    def write_and_read(**changes):
        config = {key: value for key, value in {**CONFIG, **changes}.items() if value is not ...}
        (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
        return read_config(tmp_path).base()

    return write_and_read


def test_sizes(read):
    """All sizes are those of the file."""
    base = read()
    names = ("arch", "blocks", "heads", "kv_heads", "head_dim", "hidden", "feed_forward", "vocab")
    assert [getattr(base.hparams, name) for name in names] == [getattr(TINY.hparams, name) for name in names]
    assert (base.hparams.tied, base.tensors, base.gguf) == (False, None, None)


def test_defaults(read):
    """What the file leaves out is what transformers takes it for."""
    base = read(num_key_value_heads=..., head_dim=..., tie_word_embeddings=...)
    assert (base.hparams.kv_heads, base.hparams.head_dim, base.hparams.tied) == (4, 5, False)


def test_text_model_of_a_larger_one(read):
    """Sizes of a model that sees are those of its text model."""
    assert read(text_config={"hidden_size": 24}, hidden_size=...).hparams.hidden == 24


@pytest.mark.parametrize("key", ["num_experts", "num_local_experts", "n_routed_experts"])
def test_experts(read, key):
    """The number of experts has many names."""
    base = read(architectures=["Qwen3MoeForCausalLM"], moe_intermediate_size=8, **{key: 3})
    assert (base.hparams.arch, base.hparams.experts, base.hparams.expert_feed_forward) == ("qwen3moe", 3, 8)


@pytest.mark.parametrize("key", ["num_hidden_layers", "num_attention_heads", "hidden_size"])
@pytest.mark.parametrize("value", [..., 0, -1, "8", 2.5, True, 2**50], ids=repr)
def test_sizes_that_are_none(read, key, value):
    """A size that is missing, or no whole number, is told with its key."""
    with pytest.raises(InputError) as caught:
        read(**{key: value})
    assert caught.value.where.endswith(key)


@pytest.mark.parametrize(
    ("model", "value", "tied"),
    [("LlamaForCausalLM", ..., False), ("LlamaForCausalLM", True, True), ("GPT2LMHeadModel", ..., True),
     ("GPT2LMHeadModel", False, False), ("Qwen2ForCausalLM", None, False)],
)  # fmt: skip
def test_tied(read, model, value, tied):
    """Where the file does not say, its class decides whether head and embeddings are one weight."""
    assert read(architectures=[model], tie_word_embeddings=value).hparams.tied is tied


@pytest.mark.parametrize("value", ["false", 0, []])
def test_tied_is_true_or_false(read, value):
    """A text is neither: "false" would count as true."""
    with pytest.raises(InputError, match="neither true nor false") as caught:
        read(tie_word_embeddings=value)
    assert caught.value.where.endswith("tie_word_embeddings")


@pytest.mark.parametrize("classes", [["FooForCausalLM"], [], None, "LlamaForCausalLM", [1]])
def test_unknown_class(read, classes):
    """A class without a row is told by its name."""
    with pytest.raises(UnsupportedError, match="cannot be converted yet"):
        read(architectures=classes)


def test_missing_file(tmp_path):
    """A directory without the file is told with the reason."""
    with pytest.raises(InputError, match="No such file"):
        read_config(tmp_path).base()


def test_named_as_a_base(read, tmp_path):
    """--base with the directory takes its sizes, and the Ollama model of the id that the adapter names."""
    read()
    base = find_base(BaseReferences(option=str(tmp_path), adapter_base="lmsys/vicuna-7b-v1.5"))
    assert (base.hparams.hidden, base.tag, base.source_id) == (20, "vicuna:7b", "lmsys/vicuna-7b-v1.5")
    assert find_base(BaseReferences(option=str(tmp_path), adapter_base="org/unknown")).tag == ""
    assert Path(base.origin.rpartition(" in ")[2]).name == tmp_path.name


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("org/a", "org/a", True),
        ("", "org/a", True),
        ("unsloth/llama-2-7b-chat-bnb-4bit", "meta-llama/Llama-2-7b-chat-hf", True),
        ("lmsys/vicuna-7b-v1.5", "meta-llama/Llama-2-7b-chat-hf", False),
        ("org/a", "org/b", False),
    ],
)
def test_same_base(one, other, same):
    """Two ids are one base where they are equal, unknown, or of one row of the catalog."""
    assert same_base(one, other) is same


FALCON = {"architectures": ["FalconForCausalLM"], "num_key_value_heads": ..., "num_kv_heads": 4}


@pytest.mark.parametrize(
    ("settings", "kv_heads"),
    [
        ({"multi_query": True}, 1),
        ({}, 1),
        ({"multi_query": False}, 4),
        ({"new_decoder_architecture": True, "num_kv_heads": 2}, 2),
    ],
)
def test_falcon(read, settings, kv_heads):
    """The first Falcons have one key-value head, whatever num_kv_heads says; the later ones say how many."""
    base = read(**{**FALCON, **settings})
    assert (base.hparams.arch, base.hparams.heads, base.hparams.kv_heads) == ("falcon", 4, kv_heads)


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("MPTForCausalLM", {"n_layers": 2, "n_heads": 4, "d_model": 24, "hidden_size": ...}),
        ("ExaoneForCausalLM", {"num_layers": 2}),
        ("ChatGLMModel", {"num_layers": 2, "multi_query_group_num": 2, "ffn_hidden_size": 40}),
        ("BloomForCausalLM", {"n_layer": 2, "n_head": 4}),
    ],
)
def test_other_names(read, model, settings):
    """What other classes call the same sizes is known."""
    own = {"num_hidden_layers": ..., "num_attention_heads": ..., "intermediate_size": ...}
    heads = {} if "n_heads" in settings or "n_head" in settings else {"num_attention_heads": 4}
    base = read(architectures=[model], **{**own, **heads, "num_key_value_heads": ..., **settings})
    assert (base.hparams.blocks, base.hparams.heads) == (2, 4)
    assert base.hparams.kv_heads == settings.get("multi_query_group_num", 4)


@pytest.mark.parametrize(
    ("changes", "row", "experts"),
    [
        ({"layer_types": ["attention", "mamba"]}, "granitehybrid", 0),
        ({"layer_types": ["full_attention", "linear_attention"]}, "granitehybrid", 0),
        ({"layer_types": ["attention", "attention"], "num_local_experts": 0}, "granite", 0),
        (
            {"layer_types": ["attention"] * 2, "num_local_experts": 4, "num_experts_per_tok": 2},
            "granitemoe",
            4,
        ),
    ],
)
def test_granite_4(read, changes, row, experts):
    """A Granite 4 without Mamba layers is, to llama.cpp, what Granites were before."""
    base = read(architectures=["GraniteMoeHybridForCausalLM"], **changes)
    assert (base.hparams.arch, base.hparams.experts) == (row, experts)


@pytest.mark.parametrize(("multi_query", "heads"), [(True, 1), (False, 4), (..., 1)])
def test_heads_of_starcoder(read, multi_query, heads):
    """The first StarCoder has one key head, unless it says otherwise."""
    changes = {"num_key_value_heads": ..., "multi_query": multi_query}
    assert read(architectures=["GPTBigCodeForCausalLM"], **changes).hparams.kv_heads == heads


def test_a_list_under_a_second_name(read):
    """Only the key that counts is read: a list under another of its names means nothing."""
    base = read(n_head=["x", "y"], num_kv_heads=[None, None])
    assert (base.hparams.heads, base.hparams.kv_heads, base.hparams.heads_per_layer) == (4, 2, ())


@pytest.mark.parametrize("heads", [[4, "8"], [4, True], [4, 0], []])
def test_lists_of_heads_that_are_none(read, heads):
    """A list of heads is of whole numbers above 0."""
    with pytest.raises(InputError, match="not a whole number"):
        read(num_attention_heads=heads)


def test_heads_of_each_block(read):
    """Lists of heads are those of the blocks."""
    base = read(num_attention_heads=[4, 8], num_key_value_heads=[2, 4])
    assert base.hparams.heads_per_layer == ((4, 2), (8, 4))
    assert (base.hparams.heads, base.hparams.kv_heads) == (8, 4)


FALCON_H1 = {
    "architectures": ["FalconH1ForCausalLM"], "mamba_n_groups": 1, "mamba_n_heads": 2, "mamba_d_state": 4,
    "mamba_d_ssm": 8, **{name: 1.0 if count == 1 else [1.0] * count for name, count in MULTIPLIERS.items()},
}  # fmt: skip


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", True, None, [], [1.0, "2"]])
@pytest.mark.parametrize("name", ["key_multiplier", "mlp_multipliers"])
def test_multipliers_that_are_none(read, name, value):
    """Numbers that no model has are told with their key."""
    with pytest.raises(InputError, match="numbers") as caught:
        read(**{**FALCON_H1, name: value})
    assert caught.value.where.endswith(f": {name}")


@pytest.mark.parametrize("value", [-1, 2**41, "auto", True, 1.5, None])
def test_sizes_of_states_that_are_none(read, value):
    """They are unknown, as a word in their place is."""
    assert read(**{**FALCON_H1, "mamba_d_state": value}).hparams.ssm.state == 0
