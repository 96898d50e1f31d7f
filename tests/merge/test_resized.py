"""Models trained with other tokens than their base: the merged file, what proves it, and what is refused.

The adapters are PEFT's, and the vocabularies are those that llama.cpp's own converter made of the models that
PEFT merged (`tests/reference/record_resized.py`). tests/llama/test_resized_logits.py compares their logits.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
from archive import names_of, unpacked
from recipes import read_numbers, safetensors
from terminal import run

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.errors import InputError, ProofError, UnsupportedError
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.lora.peft.directory import resolve_directory
from ollama_pack.lora.peft.load import load_adapter
from ollama_pack.lora.peft.tokenizer import read_tokenizer
from ollama_pack.lora.vocabulary import CONTROL, UNUSED, fit_vocabulary, into_base
from ollama_pack.merge.vocabulary import vocabulary_keys
from ollama_pack.verify.merged import prove_merged

KIND = "resized"
CASES = [
    (base, folder.name)
    for base in names_of(KIND)
    for folder in sorted(unpacked(KIND, base).iterdir())
    if folder.is_dir()
]
each_case = pytest.mark.parametrize(("base", "case"), CASES, ids=[f"{base}-{case}" for base, case in CASES])


def home_of(base: str, case: str) -> Path:
    return unpacked(KIND, base) / case


def base_of(base: str):
    return read_base_gguf(unpacked(KIND, base) / "base.gguf")


def fitted(base: str, home: Path):
    adapter = load_adapter(resolve_directory(home, ""), merging=True)
    return fit_vocabulary(adapter, base_of(base), read_tokenizer(home)[0])


def merged(base: str, home: Path, path: Path, *words: str) -> Path:
    ran = run("merge", home, "--base", unpacked(KIND, base) / "base.gguf", "--out", path, *words)
    assert ran.code == 0, ran.stderr
    return path


def told(path: Path) -> dict:
    """Return what a file says of its tokens, as gguf's own reader finds it."""
    fields = gguf.GGUFReader(path).fields
    return {key.removeprefix("tokenizer.ggml."): field.contents() for key, field in fields.items()}


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    return {each.name: tuple(reversed(each.shape.tolist())) for each in gguf.GGUFReader(path).tensors}


@each_case
def test_the_vocabulary_is_what_the_converter_makes(tmp_path, base, case):
    """Tokens, types, scores and merges are those of PEFT's merged model, brought to GGUF by llama.cpp."""
    home = home_of(base, case)
    path = merged(base, home, tmp_path / "merged.gguf")
    found, expected = told(path), json.loads((home / "vocabulary.json").read_text("utf-8"))
    for key in ("tokens", "token_type", "scores", "merges", "bos_token_id", "padding_token_id"):
        assert found.get(key) == expected.get(key), key
    named = json.loads((home / "tokenizer_config.json").read_text("utf-8"))["eos_token"]
    assert found["tokens"][found["eos_token_id"]] == named
    rows = len(expected["tokens"])
    assert {
        each[0] for name, each in shapes(path).items() if name in ("token_embd.weight", "output.weight")
    } == {rows}
    assert next((value for key, value in found.items() if key.endswith(".vocab_size")), rows) == rows


@pytest.mark.parametrize(
    ("case", "own"), [("padded", False), ("rows", False), ("adapted", True), ("saved", True)]
)
def test_a_tied_base_stays_tied_if_it_can(tmp_path, case, own):
    """Only what changes the head or the embeddings alone gives the head a tensor of its own."""
    path = merged("llama-tied", home_of("llama-tied", case), tmp_path / "merged.gguf")
    assert ("output.weight" in shapes(path)) is own


@each_case
def test_without_merge_the_way_is_told(tmp_path, base, case):
    """A GGUF LoRA cannot hold it; the message names --merge, which the other tests follow."""
    base_file = unpacked(KIND, base) / "base.gguf"
    ran = run("convert", home_of(base, case), "--base", base_file, "--out", tmp_path / "out")
    assert ran.code == 4, ran.stderr
    assert "--merge  writes one model file" in ran.stderr


def test_what_is_told(tmp_path):
    """The new tokens are named, and rows that have none are counted."""
    base = unpacked(KIND, "llama") / "base.gguf"
    ran = run("merge", home_of("llama", "padded"), "--base", base, "--out", tmp_path / "m.gguf")
    told = " ".join(ran.stderr.split())
    assert "88 tokens, 80 in the base (new: '<|ada|>', '<note>', 'Analytical Engine'; 5 rows without" in told
    assert "tokens 88 tokens" in told
    assert "added-tokens" not in told


def copy_of(base: str, case: str, tmp_path: Path, change=None) -> Path:
    """Return a copy of a recorded adapter, with other tensors."""
    home = shutil.copytree(home_of(base, case), tmp_path / "ada")
    path = home / "adapter_model.safetensors"
    held = {key: value.astype(np.float32) for key, value in read_numbers(path).items()}
    path.write_bytes(safetensors(change(held) if change else held))
    return home


def test_without_a_tokenizer(tmp_path):
    """Nothing names the new tokens, and the message says what does."""
    home = copy_of("llama", "padded", tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (home / name).unlink()
    base = unpacked(KIND, "llama") / "base.gguf"
    ran = run("merge", home, "--base", base, "--out", tmp_path / "m.gguf")
    assert (ran.code, (tmp_path / "m.gguf").exists()) == (3, False)
    assert "nothing names the 8 tokens" in ran.stderr
    for name in ("tokenizer.json", "tokenizer_config.json"):  # the way that is told
        shutil.copyfile(home_of("llama", "padded") / name, home / name)
    assert run("merge", home, "--base", base, "--out", tmp_path / "m.gguf").code == 0


def test_without_the_rows_of_the_head(tmp_path):
    """A head whose new rows nobody saved is named; PEFT saves it as the message says."""
    home = copy_of(
        "llama", "padded", tmp_path, lambda held: {k: v for k, v in held.items() if "lm_head" not in k}
    )
    with pytest.raises(UnsupportedError, match=r"output.weight lacks 8 of them") as caught:
        fitted("llama", home)
    assert "save_embedding_layers=True" in caught.value.hint
    assert fitted("llama", home_of("llama", "padded"))[1].size == 88  # what it saves then


def test_a_vocabulary_without_the_special_tokens_of_the_base(tmp_path):
    """A model of so few tokens that the base's padding token is gone has no id for it."""
    adapter = load_adapter(resolve_directory(home_of("llama", "fewer"), ""), merging=True)
    base = base_of("llama")
    assert base.info is not None
    info = replace(base.info, metadata={**base.info.metadata, "tokenizer.ggml.padding_token_id": 79})
    with pytest.raises(
        UnsupportedError, match=r"with 76 tokens, and tokenizer.ggml.padding_token_id"
    ) as caught:
        fit_vocabulary(adapter, replace(base, info=info), read_tokenizer(home_of("llama", "fewer"))[0])
    assert "without model.resize_token_embeddings" in caught.value.hint


def test_a_base_whose_tokens_are_not_its_rows():
    """A base with more rows than tokens is none that llama.cpp's converter wrote, or that llama.cpp loads."""
    base = base_of("llama")
    _, change = fitted("llama", home_of("llama", "padded"))
    assert base.gguf is not None
    with pytest.raises(InputError, match="81 rows of embeddings and 80 tokens") as caught:
        vocabulary_keys(read_gguf(base.gguf), replace(change, before=81))
    assert "--base with a GGUF file that llama.cpp's converter wrote" in caught.value.hint


def test_rows_that_differ(tmp_path):
    """An embedding and a head of different vocabularies are damage."""

    def cut(held):
        return {key: value[:-1] if "lm_head.weight" in key else value for key, value in held.items()}

    with pytest.raises(InputError, match=r"lm_head.weight has 87 rows"):
        fitted("llama", copy_of("llama", "padded", tmp_path, cut))


def test_a_piece_is_no_added_token(tmp_path):
    """A new piece of a sentencepiece model has a score that the adapter does not tell."""
    home = copy_of("llama", "padded", tmp_path)
    path = home / "tokenizer.json"
    document = json.loads(path.read_text("utf-8"))
    document["added_tokens"] = [each for each in document["added_tokens"] if each["id"] < 80]
    document["model"]["vocab"]["piece"] = 80
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(UnsupportedError, match="'piece' was trained as a piece"):
        fitted("llama", home)


def test_a_pair_brings_its_merges(tmp_path):
    """What a byte-pair tokenizer joins beside what the base joins is in the merged file, too."""
    home = copy_of("pairs", "padded", tmp_path)
    path = home / "tokenizer.json"
    document = json.loads(path.read_text("utf-8"))
    document["model"]["merges"].append(["A", "d"])
    document["model"]["vocab"]["Ad"] = 279
    path.write_text(json.dumps(document), "utf-8")
    found = told(merged("pairs", home, tmp_path / "merged.gguf"))
    assert (found["merges"][-1], found["tokens"][279], found["token_type"][279]) == ("A d", "Ad", 1)


def test_merges_that_are_missing_are_found(tmp_path):
    """A file without what the byte-pair tokenizer learned to join is not the trained one."""
    plain = merged("pairs", copy_of("pairs", "padded", tmp_path / "plain"), tmp_path / "plain.gguf")
    home = copy_of("pairs", "padded", tmp_path)
    document = json.loads((home / "tokenizer.json").read_text("utf-8"))
    document["model"]["merges"].append(["<|ada|>", "d"])
    (home / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    adapter, _ = fitted("pairs", home)
    with pytest.raises(ProofError) as caught:
        prove_merged(adapter, base_of("pairs"), plain)
    assert "tokenizer.ggml.merges" in caught.value.where


def test_a_token_in_a_row_that_was_free(tmp_path):
    """A model that was not resized, because it had rows to spare: the new token takes the place of [PADn]."""
    first = merged("llama", home_of("llama", "padded"), tmp_path / "base.gguf")
    home = copy_of("llama", "padded", tmp_path)
    document = json.loads((home / "tokenizer.json").read_text("utf-8"))
    free = {"id": 85, "content": "<|more|>", "special": True}
    document["added_tokens"].append({**document["added_tokens"][0], **free})
    (home / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    ran = run("merge", home, "--base", first, "--out", tmp_path / "m.gguf")
    assert ran.code == 0, ran.stderr
    found = told(tmp_path / "m.gguf")
    assert (found["tokens"][85], found["token_type"][85], found["token_type"][86]) == (
        "<|more|>",
        CONTROL,
        UNUSED,
    )


@pytest.mark.parametrize("key", ["tokens", "token_type", "scores", "eos_token_id"])
def test_what_the_proof_finds(tmp_path, key):
    """A token, a type, a score or an id that is not the trained one is found, by the name of its key."""
    base, home = base_of("llama"), home_of("llama", "padded")
    adapter, _ = fitted("llama", home)
    path = merged("llama", home, tmp_path / "merged.gguf")
    assert prove_merged(adapter, base, path).result.passed
    field = gguf.GGUFReader(path, "r+").fields[f"tokenizer.ggml.{key}"]
    field.parts[field.data[-6 if len(field.data) > 1 else 0]][0] += 1  # that of a new token
    with pytest.raises(ProofError) as caught:
        prove_merged(adapter, base, path)
    assert f"tokenizer.ggml.{key}" in caught.value.where


def test_rows_of_another_training_are_found(tmp_path):
    """New rows that are not the trained ones fail the proof."""
    adapter, _ = fitted("llama", home_of("llama", "padded"))
    other = copy_of("llama", "padded", tmp_path, lambda held: {k: v[::-1].copy() for k, v in held.items()})
    path = merged("llama", other, tmp_path / "merged.gguf")
    assert not prove_merged(adapter, base_of("llama"), path).result.passed


def test_an_adapter_of_the_same_vocabulary_is_left_alone():
    """The base, the adapter and their tokens stay what they are."""
    adapter = load_adapter(resolve_directory(unpacked("kinds", "llama") / "save-head", ""), merging=True)
    base = read_base_gguf(unpacked("kinds", "llama") / "base.gguf")
    assert fit_vocabulary(adapter, base, None) == (adapter, None)
    assert into_base(base, adapter, None) is base
    frozen = replace(adapter, copies=adapter.beside)
    assert fit_vocabulary(frozen, base, None)[0] is frozen


def test_it_is_kept_and_brought_back_like_any_model(tmp_path):
    """versions, rollback and verify know a model with more tokens than its base."""
    base, store, out = unpacked(KIND, "llama") / "base.gguf", tmp_path / "store", tmp_path / "out"
    for case in ("padded", "saved"):
        words = ("build", home_of("llama", case), "ada", "--base", base, "--merge", "--via", "store")
        ran = run(*words, "--store", store, "--out", out)
        assert ran.code == 0, ran.stderr
    found = run("versions", "ada", "--store", store, "--json").document
    assert len(found["versions"]) == 2
    assert run("rollback", "ada", "--store", store).code == 0
    checked = run("verify", out, "--store", store)
    assert "files: merged_model.gguf: as recorded" in " ".join(checked.stderr.split())
