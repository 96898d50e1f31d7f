"""Whether llama.cpp adds the begin of text, by what the header of a model says."""

import pytest

from ollama_pack.gguf.begin_of_text import adds_begin_of_text


@pytest.mark.parametrize(
    ("model", "pre", "said", "adds"),
    [
        ("llama", None, None, True),
        ("llama", None, False, False),
        ("gpt2", "llama-bpe", None, True),
        ("gpt2", "qwen2", None, False),
        ("gpt2", "qwen2", True, True),
        ("gpt2", None, None, False),
        ("gpt2", "of-tomorrow", None, None),
        ("gpt2", "of-tomorrow", False, False),
        ("gemma4", None, False, True),
        ("t5", None, None, False),
        ("of-tomorrow", None, None, None),
    ],
)
def test_who_adds_it(model, pre, said, adds):
    """The file decides if it says so, else the kind of tokenizer; of what is unknown nothing is said."""
    keys = {"model": model, "pre": pre, "add_bos_token": said}
    header = {f"tokenizer.ggml.{key}": value for key, value in keys.items() if value is not None}
    assert adds_begin_of_text(header) is adds
