"""``--merge-type q4_k_m``: merged in many bits, proved, and quantised by llama.cpp afterwards."""

import importlib.util

import gguf
import numpy as np
import pytest
from following import hint_of, succeeds
from ggml_builds import hide_ggml
from recipes import TINY, resized, write_adapter, write_model
from terminal import run
from test_imatrix import older
from test_kept import quantise

WIDE = resized(TINY, hidden=256, feed_forward=512, heads=4, kv_heads=2, head_dim=64)

needs_library = pytest.mark.skipif(
    importlib.util.find_spec("llama_cpp") is None,
    reason="NOT TESTED with llama.cpp's quantiser: llama-cpp-python is not installed (make logits)",
)


@pytest.fixture
def words(tmp_path):
    """Return the words of a merge into a base in F32, and where the file goes."""
    base = write_model(tmp_path / "base.gguf", WIDE)
    adapter = write_adapter(tmp_path / "ada-lora", base=WIDE, alpha=12)
    return ("merge", adapter, "--base", base, "--out", tmp_path / "out" / "merged.gguf")


def types_in(path) -> set[str]:
    """Return the types of the matrices of a file."""
    tensors = gguf.GGUFReader(path).tensors
    return {tensor.tensor_type.name for tensor in tensors if len(tensor.shape) > 1}


@pytest.mark.logits
@needs_library
@pytest.mark.parametrize(
    ("merge_type", "kinds"), [("q4_k_m", {"Q4_K", "Q6_K"}), ("q5_0", {"Q5_0", "Q6_K"}), ("q3_k_l", {"Q5_K"})]
)
def test_what_is_written(words, merge_type, kinds):
    """The file has llama.cpp's types, ΔW once along itself, and the merge before it is proved."""
    ran = run(*words, "--merge-type", merge_type, "--json")
    assert ran.code == 0, ran.stderr
    merged = ran.document["merged"]
    assert [proof["proof"] for proof in merged["proofs"]] == ["merged", "quantised"]
    assert merged["kept"]["gain"] == pytest.approx(1, abs=0.1)
    assert types_in(words[-1]) & kinds
    assert merged["size"] == words[-1].stat().st_size
    assert [path.name for path in words[-1].parent.iterdir()] == ["merged.gguf"]
    said = gguf.GGUFReader(words[-1]).fields
    assert "ollama_pack.merged_adapter" in said
    assert said["general.name"].contents() == "merged"


@pytest.mark.logits
@needs_library
def test_without_its_change_it_fails(words, monkeypatch):
    """A quantised file that does not have ΔW fails, and nothing is left of either file."""
    from ollama_pack.gguf import quantise as module

    once = module.quantise_file
    monkeypatch.setattr(
        "ollama_pack.gguf.quantise.quantise_file", lambda _source, *more: once(words[3], *more)
    )
    ran = run(*words, "--merge-type", "q4_k_m")
    assert ran.code == 5
    assert "quantised" in ran.stderr or "ΔW" in ran.stderr
    assert not words[-1].parent.exists() or not list(words[-1].parent.iterdir())


@pytest.mark.logits
@needs_library
def test_an_importance_matrix(words, tmp_path):
    """A type that needs one says so; with one it is made, and other values give other codes."""
    hint = hint_of(*words, "--merge-type", "iq2_xs", code="bad-option")
    assert hint == "--imatrix FILE, or --merge-type q4_k_m"
    names = [tensor.name for tensor in gguf.GGUFReader(words[3]).tensors if len(tensor.shape) > 1]
    widths = {tensor.name: int(tensor.shape[0]) for tensor in gguf.GGUFReader(words[3]).tensors}
    random, made = np.random.default_rng(5), []
    for number in range(2):
        file = tmp_path / f"imatrix{number}.dat"
        file.write_bytes(older([(name, 1, random.uniform(0.1, 9, widths[name])) for name in names]))
        succeeds(*words, "--merge-type", "iq2_xs", "--imatrix", file, "--min-kept", "0")
        made.append(words[-1].read_bytes())
    assert made[0] != made[1]
    hint = hint_of(*words, "--imatrix", tmp_path / "imatrix0.dat", code="bad-option")
    assert hint == "--merge-type q4_k_m, or leave out --imatrix"
    succeeds(*words, "--imatrix", tmp_path / "imatrix0.dat", *hint.partition(",")[0].split())
    succeeds(*words)


@pytest.mark.logits
@needs_library
def test_what_llama_cpp_refuses(words, tmp_path):
    """What llama.cpp says is passed on, with a type that works; no file is left."""
    narrow = tmp_path / "imatrix.dat"
    narrow.write_bytes(older([("blk.0.attn_q.weight", 1, [1.0, 2.0])]))
    typed = (*words, "--merge-type", "q4_k_m", "--imatrix", narrow)
    hint = hint_of(*typed, code="not-quantised")
    assert hint == "--merge-type auto"
    assert not words[-1].parent.exists() or not list(words[-1].parent.iterdir())
    succeeds(*words, *hint.split())


def test_without_llama_cpp_python(words, monkeypatch):
    """The extra is named before anything is written."""
    hide_ggml(monkeypatch)
    hint = hint_of(*words, "--merge-type", "q4_k_m", code="extra-missing")
    assert hint.startswith("pip install 'ollama-pack[llama]'")
    assert not words[-1].parent.exists()


def test_a_base_of_few_bits(words, tmp_path, monkeypatch):
    """A base that is quantised already is not quantised again: another file, or another type."""
    monkeypatch.setattr("ollama_pack.gguf.quantise.installed_ggml", lambda _: tmp_path)
    quantise(words[3], tmp_path / "few.gguf")
    few = (*words[:3], tmp_path / "few.gguf", *words[4:])
    hint = hint_of(*few, "--merge-type", "q4_k_m", code="base-quantised")
    assert hint == "--base with its F16, BF16, F32 or Q8_0 file, or --merge-type auto"
    succeeds(*few, "--merge-type", "auto")


def test_the_planned_size(words, monkeypatch, tmp_path):
    """A dry run tells about how large the file will be."""
    monkeypatch.setattr("ollama_pack.gguf.quantise.installed_ggml", lambda _: tmp_path)
    build = (
        "build",
        *words[1:4],
        "--merge",
        "--via",
        "folder",
        "--out",
        tmp_path / "out",
        "--dry-run",
        "--json",
    )
    whole, small = (
        max(item["bytes"] for item in run(*build, *more).document["delivery"]["items"])
        for more in ((), ("--merge-type", "q4_k_m"))
    )
    assert small < whole / 3


@pytest.mark.logits
@needs_library
def test_the_clean_way(words, tmp_path):
    """A type of few bits on a base of few bits names the clean way, and that way works; others do not."""
    quantise(words[3], tmp_path / "few.gguf")
    few = (*words[:3], tmp_path / "few.gguf", *words[4:])
    said = run(*few, "--merge-type", "same", "--min-kept", "0").stderr
    assert "--base with the F16 file of the model and --merge-type q4_k_m" in " ".join(said.split())
    assert "q4_k_m" not in run(*few).stderr
    succeeds(*words, "--merge-type", "q4_k_m")
