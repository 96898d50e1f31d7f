"""A merged model with new tokens computes what PEFT computes, and llama.cpp knows its tokens."""

import json
from pathlib import Path

import numpy as np
import pytest
from archive import names_of, unpacked
from asking import LIBRARIES, find_llama, run
from builds import NEWEST
from terminal import run as run_cli

KIND = "resized"
EXACT = 1e-5
"""Largest difference from PEFT's logits, in units of how far they go from each other."""

MOST = 60
"""Tokens that are asked about: the context of a build has room for a few more."""

CASES = [
    (base, folder.name)
    for base in names_of(KIND)
    for folder in sorted(unpacked(KIND, base).iterdir())
    if folder.is_dir()
]
pytestmark = pytest.mark.llama


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(case))
def merged(request, tmp_path_factory) -> tuple[Path, Path]:
    """Return an adapter, and the model that it became."""
    base, case = request.param
    home, path = unpacked(KIND, base) / case, tmp_path_factory.mktemp(case) / "merged.gguf"
    ran = run_cli("merge", home, "--base", home.parent / "base.gguf", "--out", path)
    assert ran.code == 0, ran.stderr
    return home, path


@pytest.mark.parametrize("llama", [NEWEST, pytest.param("logits", marks=pytest.mark.logits)], indirect=True)
def test_logits(llama, ask_llama, merged):
    """New tokens are read and predicted as in training; rows without a token have PEFT's logits, too."""
    home, path = merged
    with np.load(home.parent / "logits.npz") as truth:
        tokens, wanted = truth[f"tokens:{home.name}"][:MOST], llama.measure(truth[home.name][:MOST])
    (logits,) = ask_llama(home.parent / "base.gguf", tokens, [], merged=[path])
    assert isinstance(logits, np.ndarray), logits
    assert logits.shape == wanted.shape
    assert np.abs(logits - wanted).max() <= EXACT * np.ptp(wanted)


def test_new_tokens_are_tokens(merged, tmp_path):
    """llama.cpp divides a text as the trained tokenizer does: each new token is its own id."""
    home, path = merged
    words = json.loads((home / "vocabulary.json").read_text("utf-8"))
    new = [
        (text, number)
        for number, (text, kind) in enumerate(zip(words["tokens"], words["token_type"], strict=True))
    ]
    new = [(text, number) for text, number in new if text in ("<|ada|>", "<note>", "Analytical Engine")]
    if home.name in ("fewer", "padding"):
        pytest.skip("it has no new token")
    assert len(new) == 3
    job = {
        "model": str(path),
        "texts": [f"The {text} weaves" for text, _ in new],
        "answers": str(tmp_path / "a"),
    }
    ran = run(Path(__file__).with_name("ask_tokens.py"), {**job, "library": str(library())}, tmp_path)
    assert ran.returncode == 0, ran.stderr
    for (text, number), found in zip(new, json.loads((tmp_path / "a").read_text()), strict=True):
        assert found.count(number) == 1, text


def library() -> Path:
    """Return the directory of the newest build; the test is skipped if it is not there."""
    find_llama(NEWEST)
    return LIBRARIES / NEWEST
