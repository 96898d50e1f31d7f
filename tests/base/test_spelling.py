"""A base is known by every name that trainers, mirrors and quantisers give it, and by no other."""

import pytest

from ollama_pack.base.catalog import load_catalog
from ollama_pack.base.lookup import find_entry, find_tag, find_variant, spelled_tag
from ollama_pack.base.spelling import name_key

QWEN, LLAMA, MISTRAL = (
    "Qwen/Qwen2.5-7B-Instruct",
    "meta-llama/Llama-3.1-8B-Instruct",
    "mistralai/Mistral-7B-v0.1",
)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("mlx-community/Qwen2.5-7B-Instruct-4bit", QWEN),
        ("mlx-community/Qwen2.5-7B-Instruct-8bit", QWEN),
        ("mlx-community/Qwen2.5-7B-Instruct-4bit-DWQ", QWEN),
        ("mlx-community/Qwen2.5-7B-Instruct-4bit-DWQ-053125", QWEN),
        ("mlx-community/Qwen3-4B-Instruct-2507-4bit-DWQ-2510", "Qwen/Qwen3-4B-Instruct-2507"),
        ("mlx-community/Phi-3-mini-4k-instruct-4bit-no-q-embed", "microsoft/Phi-3-mini-4k-instruct"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-AQLM-PV-2Bit-1x16-hf", LLAMA),
        ("unsloth/Qwen2.5-7B-Instruct-int4-AutoRound", QWEN),
        ("mlx-community/Qwen2.5-7B-Instruct-bf16", QWEN),
        ("mlx-community/Phi-3.5-mini-instruct-4bit", "microsoft/Phi-3.5-mini-instruct"),
        ("mlx-community/quantized-gemma-2b-it", "google/gemma-2b-it"),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4", QWEN),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", QWEN),
        ("Qwen/Qwen2.5-7B-Instruct-GGUF", QWEN),
        ("Qwen/Qwen3-8B-FP8", "Qwen/Qwen3-8B"),
        ("Qwen/Qwen3-4B-MLX-4bit", "Qwen/Qwen3-4B"),
        ("unsloth/Qwen2.5-7B-Instruct-unsloth-bnb-4bit", QWEN),
        ("unsloth/zephyr-sft-bnb-4bit", "HuggingFaceH4/mistral-7b-sft-beta"),
        ("unsloth/Phi-3.5-mini-instruct-bnb-4bit", "unsloth/Phi-3.5-mini-instruct"),
        ("TheBloke/Llama-2-7B-Chat-GPTQ", "meta-llama/Llama-2-7b-chat-hf"),
        ("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", LLAMA),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic", LLAMA),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", LLAMA),
        ("bartowski/meta-llama_Llama-3.3-70B-Instruct-GGUF", "meta-llama/Llama-3.3-70B-Instruct"),
        ("ybelkada/Mistral-7B-v0.1-bf16-sharded", MISTRAL),
        ("LLM-Research/Meta-Llama-3___1-8B-Instruct", LLAMA),
        ("LLM-Research/Meta-Llama-3.1-8B-Instruct", LLAMA),
        ("AI-ModelScope/Mistral-7B-v0.1", MISTRAL),
        ("qwen/Qwen2___5-7B-Instruct", QWEN),
        ("models--mlx-community--Qwen2.5-7B-Instruct-4bit/snapshots/abc", QWEN),
    ],
)
def test_a_copy_is_the_model_it_copies(asked, found):
    """Known mirrors and the owners' own copies are no reason for a note."""
    entry = find_entry(asked)
    assert entry is not None
    assert entry.source_id == found
    assert not any("is taken to be" in note for note in entry.notes)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("/root/.cache/modelscope/hub/models/Qwen/Qwen2___5-7B-Instruct", QWEN),
        ("/root/.cache/modelscope/hub/LLM-Research/Meta-Llama-3___1-8B-Instruct", LLAMA),
        ("models/Qwen2.5-7B-Instruct", QWEN),
        ("D:\\models\\Qwen2.5-7B-Instruct-AWQ\\", QWEN),
        ("/data/Qwen2.5-7B-Instruct/snapshots/" + "a" * 40, QWEN),
        ("/models/Qwen_Qwen2.5-7B-Instruct", QWEN),
        ("/kaggle/input/qwen2.5/transformers/7b-instruct/1", QWEN),
        ("/kaggle/input/gemma-2/transformers/gemma-2-9b-it/2", "google/gemma-2-9b-it"),
        ("someone/Qwen2.5-7B-Instruct-GPTQ-Int4", QWEN),
    ],
)
def test_what_only_the_name_tells_is_told(asked, found):
    """A path, and a copy of an owner who is not known, are found with a note."""
    entry = find_entry(asked)
    assert entry is not None
    assert entry.source_id == found
    assert any("is taken to be" in note for note in entry.notes)


@pytest.mark.parametrize(
    "asked",
    [
        "someone/Qwen2.5-7B-Instruct",
        "google/gemma-3-4b-it-qat-q4_0-gguf",
        "mlx-community/Qwen2.5-7B-Instruct-1M-4bit",
        "mlx-community/Qwen2.5-7B-Instruct-abliterated-4bit",
        "/x/phi-4-4bit",
        "mlx-community/4bit",
    ],
)
def test_other_weights_are_not_found(asked):
    """What has been trained further, and a name of two layouts, is no copy."""
    assert find_entry(asked) is None


def test_a_key_means_one_model():
    """All spellings of a name lead to one row, but for Unsloth's own layouts of Phi."""
    rows: dict[str, set[str]] = {}
    for entry in load_catalog():
        for name in entry.names:
            rows.setdefault(name_key(name.rpartition("/")[2]), set()).add(entry.source_id)
    double = [ids for ids in rows.values() if len(ids) > 1]
    assert all(any(each.startswith("unsloth/") for each in ids) for ids in double)
    assert all(find_entry(each) is not None for ids in double for each in ids)


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        ("smollm2:135m-instruct-q8_0", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("qwen2.5:3b-instruct-q4_K_M", "Qwen/Qwen2.5-3B-Instruct"),
        ("qwen2.5:3b-q8_0", "Qwen/Qwen2.5-3B-Instruct"),
        ("llama3.2:3b-text-fp16", "meta-llama/Llama-3.2-3B"),
        ("hf.co/bartowski/Qwen2.5-7B-Instruct-GGUF:Q4_K_M", QWEN),
        ("huggingface.co/Qwen/Qwen2.5-7B-Instruct-GGUF", QWEN),
    ],
)
def test_another_quantisation_is_the_same_model(tag, found):
    """The name of an Ollama model tells its weights, and a note says that only the name does."""
    assert find_tag(tag) is None
    entry = find_variant(tag)
    assert entry is not None
    assert entry.source_id == found
    assert entry.notes[0].endswith(f"is taken to be {found}, because of its name.")


@pytest.mark.parametrize(
    "tag", ["gemma3:4b-it-qat", "me/qwen2.5:7b", "hf.co/me/mine-GGUF", "qwen2.5:7b-base-q8_0", "no name"]
)
def test_a_name_that_tells_nothing(tag):
    """Other people's models and other weights are not taken for one of the catalog."""
    assert find_variant(tag) is None


def test_capitals_are_the_registrys():
    """A name that is asked for in small letters is spelled as it is pulled."""
    assert spelled_tag("llama3.2:3b-text-q4_k_m") == "llama3.2:3b-text-q4_K_M"
    assert spelled_tag("me/Mine") == "me/Mine:latest"
