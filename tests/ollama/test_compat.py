"""Bases in a form of Ollama's own: told from those of llama.cpp's converter by their headers."""

import pytest

from ollama_pack.arch.table import all_archs
from ollama_pack.gguf.reader import LongArray
from ollama_pack.ollama.compat import OLLAMA_FORMS, is_translated, translate_header

LLAMA3 = {"general.architecture": "llama", "llama.vocab_size": 128256}


@pytest.mark.parametrize(
    ("metadata", "tensors", "translated"),
    [
        ({"general.architecture": "gptoss"}, (), True),
        ({"general.architecture": "gpt-oss"}, (), False),
        ({"general.architecture": "gemma3", "gemma3.attention.layer_norm_rms_epsilon": 1e-6}, (), False),
        ({"general.architecture": "gemma3"}, (), True),
        (
            {"general.architecture": "gemma3", "gemma3.attention.layer_norm_rms_epsilon": 1e-6},
            ("v.blk.0.attn_q.weight",),
            True,
        ),
        (
            {
                "general.architecture": "gemma3",
                "gemma3.attention.layer_norm_rms_epsilon": 1e-6,
                "gemma3.rope.local.freq_base": 1e4,
            },
            (),
            True,
        ),
        ({"general.architecture": "gemma4", "tokenizer.ggml.model": "llama"}, (), True),
        ({"general.architecture": "gemma4", "tokenizer.ggml.model": "gemma4"}, (), False),
        ({"general.architecture": "lfm2"}, ("output_norm.weight",), True),
        ({"general.architecture": "lfm2"}, ("token_embd_norm.weight",), False),
        ({"general.architecture": "lfm2"}, ("token_embd_norm.weight", "output_norm.weight"), False),
        ({"general.architecture": "qwen3next"}, ("blk.3.ssm_dt",), True),
        ({"general.architecture": "qwen3next"}, ("blk.3.ssm_dt.bias",), False),
        ({"general.architecture": "qwen3vl"}, (), True),
        ({"general.architecture": "qwen3vl", "qwen3vl.rope.dimension_sections": (1, 2)}, (), False),
        ({"general.architecture": "qwen35", "qwen35.vision.block_count": 3}, (), True),
        ({"general.architecture": "llama"}, ("token_embd.weight",), False),
        (LLAMA3 | {"tokenizer.ggml.pre": "llama-bpe", "tokenizer.ggml.eos_token_id": 128009}, (), False),
        (LLAMA3 | {"tokenizer.ggml.pre": "llama-bpe", "tokenizer.ggml.eos_token_id": 128001}, (), True),
        (LLAMA3 | {"tokenizer.ggml.eos_token_id": 128009}, (), True),
        ({"general.architecture": "llama", "llama.vocab_size": 32000}, (), False),
        ({}, (), False),
    ],
)
def test_is_translated(metadata, tensors, translated):
    """One mark of Ollama's converter is enough, and a file without marks is llama.cpp's."""
    assert is_translated(metadata, dict.fromkeys(tensors, (8, 8))) is translated


def llama3(**tokens: str) -> dict:
    """Return a header that ends with ``<|end_of_text|>``, with these tokens at their ids."""
    words = ["x"] * 128256
    for name, token in tokens.items():
        words[int(name.removeprefix("at"))] = token
    return LLAMA3 | {
        "tokenizer.ggml.pre": "llama-bpe",
        "tokenizer.ggml.eos_token_id": 128001,
        "tokenizer.ggml.tokens": tuple(words),
    }


@pytest.mark.parametrize(
    ("metadata", "translated"),
    [
        (llama3(at128009="<|eot_id|>", at128006="<|start_header_id|>"), True),
        (llama3(at128009="<|eot_id|>"), False),
        (llama3(at128009="<|eot_id|>") | {"tokenizer.chat_template": "{{ '<|eot_id|>' }}"}, True),
        (llama3(at128006="<|start_header_id|>") | {"tokenizer.chat_template": "<|eot_id|>"}, False),
        (llama3(), False),
        (llama3() | {"tokenizer.ggml.tokens": ("<s>", "</s>")}, False),
    ],
)
@pytest.mark.parametrize("kind", [tuple, list])
def test_llama_3_is_known_by_its_tokens(metadata, translated, kind):
    """Another model of the same size of vocabulary is none; Ollama leaves it as it is."""
    metadata = metadata | {"tokenizer.ggml.tokens": kind(metadata["tokenizer.ggml.tokens"])}
    assert is_translated(metadata, {}) is translated


@pytest.mark.parametrize(("size", "translated"), [(128256, True), (49152, False)])
@pytest.mark.parametrize("tokens", [None, LongArray(128256)], ids=["a daemon", "a header"])
def test_without_tokens_the_size_decides(tokens, size, translated):
    """A daemon sends no long list unless asked, and a header is read without it; neither is an error."""
    metadata = llama3() | {"tokenizer.ggml.tokens": tokens, "llama.vocab_size": size}
    assert is_translated(metadata, {}) is translated


@pytest.mark.parametrize(("rows", "translated"), [(262144, False), (262400, True)])
def test_gemma_3n_is_known_by_its_two_vocabularies(rows, translated):
    """Ollama cuts the embedding that has more tokens than those of the layers."""
    shapes = {"token_embd.weight": (rows, 2048), "per_layer_token_embd.weight": (262144, 8960)}
    assert is_translated({"general.architecture": "gemma3n"}, shapes) is translated
    assert not is_translated({"general.architecture": "gemma3n"}, {})


@pytest.mark.parametrize(
    ("model", "letters", "translated"),
    [("t5", ("a", "b"), True), ("t5", (1, 2), False), ("bert", ("a",), False), ("t5", None, False)],
)
def test_bert_is_known_by_its_character_map(model, letters, translated):
    """Ollama wrote it as letters, llama.cpp reads bytes."""
    tokenizer = {"tokenizer.ggml.model": model, "tokenizer.ggml.precompiled_charsmap": letters}
    assert is_translated({"general.architecture": "bert"} | tokenizer, {}) is translated


def test_forms_that_need_no_marks_are_no_names_of_llama_cpp():
    """An architecture that always is translated has another name in llama.cpp: none of our rows has it."""
    always = {arch for arch, marks in OLLAMA_FORMS.items() if marks == type(marks)()}
    assert always
    assert not always & {arch.name for arch in all_archs()}


LOADED = {
    "gptoss": (
        {"general.architecture": "gptoss", "gptoss.block_count": 2},
        {"blk.0.attn_out.weight": (4, 6), "blk.0.attn_q.weight": (6, 4)},
        {"general.architecture": "gpt-oss", "gpt-oss.block_count": 2},
        {"blk.0.attn_output.weight": (4, 6), "blk.0.attn_q.weight": (6, 4)},
    ),
    "qwen25vl": (
        {"general.architecture": "qwen25vl", "qwen25vl.embedding_length": 8},
        {"blk.0.attn_q.weight": (8, 8), "v.blk.0.attn_q.weight": (4, 4)},
        {"general.architecture": "qwen2vl", "qwen2vl.embedding_length": 8},
        {"blk.0.attn_q.weight": (8, 8)},
    ),
    "glmocr": (
        {"general.architecture": "glmocr"},
        {"blk.0.ffn_gate.weight": (5, 4), "blk.0.ffn_up.weight": (5, 4), "blk.0.attn_out.weight": (4, 4)},
        {"general.architecture": "glm4"},
        {"blk.0.ffn_up.weight": (10, 4), "blk.0.attn_output.weight": (4, 4)},
    ),
    "gemma4": (
        {"general.architecture": "gemma4", "tokenizer.ggml.model": "llama"},
        {"blk.1.ffn_gate_exps.weight": (2, 5, 4), "blk.1.ffn_up_exps.weight": (2, 5, 4)},
        {"general.architecture": "gemma4"},
        {"blk.1.ffn_gate_up_exps.weight": (2, 10, 4)},
    ),
    "nemotron with experts": (
        {"general.architecture": "nemotron_h_omni", "nemotron_h_omni.expert_count": 4},
        {"v.x": (1,), "blk.0.ffn_latent_in.weight": (3, 4)},
        {"general.architecture": "nemotron_h_moe", "nemotron_h_moe.expert_count": 4},
        {"blk.0.ffn_latent_down.weight": (3, 4)},
    ),
    "gemma3": (
        {"general.architecture": "gemma3"},
        {"blk.0.attn_q.weight": (8, 4)},
        {"general.architecture": "gemma3"},
        {"blk.0.attn_q.weight": (8, 4)},
    ),
    "llama.cpp's own": (
        {"general.architecture": "gpt-oss"},
        {"blk.0.attn_output.weight": (4, 4)},
        {"general.architecture": "gpt-oss"},
        {"blk.0.attn_output.weight": (4, 4)},
    ),
}


GEMMA4 = {"general.architecture": "gemma4", "tokenizer.ggml.model": "llama"}


@pytest.mark.parametrize(
    "more",
    [
        {"blk.0.ffn_up_exps.scale": (2,)},
        {"blk.0.ffn_gate_exps.input_scale": (2,)},
        {"blk.0.ffn_gate_up_exps.weight": (2, 10, 4)},
        {"blk.0.ffn_up_exps.weight": (2, 6, 4)},
    ],
)
def test_experts_that_ollama_leaves_apart(more):
    """With scales of their own, of other shapes, or where the joined weight is there already."""
    shapes = {"blk.0.ffn_gate_exps.weight": (2, 5, 4), "blk.0.ffn_up_exps.weight": (2, 5, 4)} | more
    assert translate_header(GEMMA4, shapes)[1] == shapes


def test_experts_that_are_no_matrix():
    """Shapes that no model has are no reason to stop here."""
    shapes = {"blk.0.ffn_gate_exps.weight": (5,), "blk.0.ffn_up_exps.weight": (5,)}
    assert translate_header(GEMMA4, shapes)[1] == {"blk.0.ffn_gate_up_exps.weight": (5,)}


@pytest.mark.parametrize(("metadata", "shapes", "keys", "tensors"), LOADED.values(), ids=LOADED)
def test_as_loaded(metadata, shapes, keys, tensors):
    """Names and sizes are those that llama.cpp has after Ollama's translation, which is done once only."""
    seen, found = translate_header(metadata, shapes)
    assert keys.items() <= seen.items()
    assert tensors.items() <= found.items()
    assert not {name for name in shapes if not name.startswith("v.")} - tensors.keys() & found.keys()
    assert translate_header(seen, found) == (seen, found)
