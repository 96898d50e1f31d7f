"""Record adapters of models whose vocabulary was resized: what PEFT saves and computes, and what GGUF has.

Run by ``make reference`` in the environment of ``record.py``. An archive is a base; a folder in it is a case:
the adapter and the tokenizer as they were saved, and ``vocabulary.json``, the tokens that llama.cpp's own
converter makes of the merged model. ``logits.npz`` has for each case the tokens that were asked (the new ones
among them), and PEFT's logits; ``base`` and ``tokens`` are those of the model before.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import gguf
import numpy as np
import peft
import record
import tokenizers
import torch
import transformers
from archive import archive_of, recording
from kinds_adapters import lora_config, stir, tidy
from kinds_models import CONVERTER, tiny_bases
from llama_source import ROOT, fetch_llama_source

KIND = "resized"
KEYS = ("tokens", "token_type", "scores", "merges", "eos_token_id", "bos_token_id", "padding_token_id")
SPECIAL, PLAIN = ("<|ada|>", "<note>"), ("Analytical Engine",)
PAIRS, END = "pairs", "<|endoftext|>"
"""The base with a byte-pair tokenizer, and the token that ends its texts; the others have pieces."""

Model = transformers.PreTrainedModel
Tokenizer = transformers.PreTrainedTokenizerBase


@dataclass(frozen=True)
class Case:
    """How a vocabulary is resized, and what is trained and saved of it.

    Attributes:
        size: the rows that the model gets; 0 for those of the tokenizer.
        settings: those of LoRA beside the usual ones.
        special: new tokens that are special.
        plain: new tokens that are none.
        whole: whether PEFT saves embeddings and head.
        older: whether the tokenizer's files are those of older versions of transformers.
    """

    size: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    special: tuple[str, ...] = SPECIAL
    plain: tuple[str, ...] = PLAIN
    whole: bool = True
    older: bool = False


ADAPTED = ["embed_tokens", "lm_head", "q_proj"]
SAVED = {"modules_to_save": ["embed_tokens", "lm_head"]}
UNTIED = {
    "padded": Case(size=88),
    "saved": Case(settings=SAVED, older=True),
    "adapted": Case(settings={"target_modules": ADAPTED}),
    "rows": Case(settings={"trainable_token_indices": [80, 81, 82]}),
    "fewer": Case(size=76, special=(), plain=()),
    "padding": Case(size=84, special=(), plain=()),
}
TIED = {
    "padded": Case(size=88),
    "saved": Case(settings=SAVED),
    "saved-embeddings": Case(settings={"modules_to_save": ["embed_tokens"]}),
    "adapted": Case(settings={"target_modules": ["embed_tokens", "q_proj"]}),
    "rows": Case(settings={"trainable_token_indices": [80, 81, 82]}, whole=False),
}
CASES = {
    "llama": UNTIED,
    "llama-tied": TIED,
    PAIRS: {"padded": Case(size=336), "saved": Case(settings=SAVED)},
}


def pair_tokenizer() -> Tokenizer:
    """Return a byte-pair tokenizer in the form of GPT-2's."""
    made = tokenizers.ByteLevelBPETokenizer()
    made.train_from_iterator(record.TEXT, vocab_size=300, special_tokens=[END], show_progress=False)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made._tokenizer, eos_token=END, pad_token=END
    )


def pieces_tokenizer() -> Tokenizer:
    """Return the tokenizer that the tiny models share, as transformers reads it."""
    with tempfile.TemporaryDirectory() as room:
        (Path(room) / "tokenizer.model").write_bytes(record.tokenizer_model())
        (Path(room) / "config.json").write_text(json.dumps({"model_type": "llama"}), "utf-8")
        return transformers.AutoTokenizer.from_pretrained(room)


def pair_model() -> Model:
    """Return a tiny Qwen2 for the byte-pair tokenizer."""
    qwen2 = next(model for model in record.MODELS if model.name == "qwen2")
    return record.build(qwen2, len(pair_tokenizer()))


def save_tokenizer(tokenizer: Tokenizer, folder: Path, *, pieces: bool, older: bool) -> None:
    """Write the files of a tokenizer; `older` for those that transformers 4 wrote of pieces."""
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8"))
    for key in ("is_local", "local_files_only"):
        settings.pop(key, None)
    if older:
        (folder / "tokenizer.json").unlink()
        (folder / "tokenizer.model").write_bytes(record.tokenizer_model())
        settings["added_tokens_decoder"] = decoder_of(tokenizer)
        added = {
            each["content"]: int(number) for number, each in decoder_of(tokenizer).items() if int(number) > 2
        }
        (folder / "added_tokens.json").write_text(json.dumps(added), "utf-8")
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", "utf-8")


def decoder_of(tokenizer: Tokenizer) -> dict[str, dict[str, Any]]:
    """Return the added tokens as transformers 4 wrote them into tokenizer_config.json."""
    return {
        str(number): {"content": token.content, "special": token.special}
        for number, token in tokenizer.added_tokens_decoder.items()
    }


def convert(model: Model, tokenizer: Tokenizer, target: Path, *, pieces: bool) -> None:
    """Bring a model and its tokenizer to GGUF by llama.cpp's converter."""
    with tempfile.TemporaryDirectory() as room:
        folder = Path(room) / "merged"
        model.save_pretrained(folder)
        if pieces:
            save_tokenizer(tokenizer, folder, pieces=True, older=True)
        else:
            tokenizer.save_pretrained(folder)
        tree = str(fetch_llama_source(ROOT / ".cache"))
        words = [sys.executable, str(CONVERTER), tree, *([] if pieces else ["--pairs"]), str(folder)]
        subprocess.run([*words, "--outtype", "f32", "--outfile", str(target)], check=True)


def vocabulary_of(path: Path) -> dict[str, Any]:
    """Return what a GGUF file says of its tokens."""
    reader = gguf.GGUFReader(path)
    fields = {key: reader.fields.get(f"tokenizer.ggml.{key}") for key in KEYS}
    return {key: found.contents() for key, found in fields.items() if found is not None}


def record_case(
    build: Callable[[], Model], tokenizer: Tokenizer, case: Case, folder: Path, *, pieces: bool
) -> dict[str, Any]:
    """Save an adapter and its tokenizer, and return what PEFT computes and what was asked."""
    tokenizer.add_special_tokens({"additional_special_tokens": list(case.special)})
    tokenizer.add_tokens(list(case.plain))
    if case.special:
        tokenizer.eos_token = case.special[0]
    torch.manual_seed(sum(folder.name.encode()))
    base = build()
    before = base.get_input_embeddings().num_embeddings
    size = case.size or len(tokenizer)
    base.resize_token_embeddings(size, mean_resizing=False)
    with torch.no_grad():  # as training of an earlier stage would leave them
        for layer in (base.get_input_embeddings(), base.get_output_embeddings()):
            layer.weight[before:] = 0.7 * torch.randn_like(layer.weight[before:])
    held = {key: value.clone() for key, value in base.state_dict().items()}
    model = peft.get_peft_model(base, lora_config(**case.settings))
    stir(model, 0.3)
    model.save_pretrained(folder, save_embedding_layers=case.whole)
    tidy(folder)
    save_tokenizer(tokenizer, folder, pieces=pieces, older=case.older)
    asked = torch.cat((torch.arange(3, 10), torch.arange(min(before, size) - 4, size)))
    logits = record.logits(model.eval(), asked)
    # As `peft.PeftModel.from_pretrained` on a base that is resized first: the saved numbers are the model.
    again = build()
    again.resize_token_embeddings(size, mean_resizing=False)
    again.load_state_dict(held)
    loaded = peft.PeftModel.from_pretrained(again, folder).eval()
    assert np.abs(record.logits(loaded, asked) - logits).max() < 1e-4, folder
    merged = loaded.merge_and_unload()
    with tempfile.TemporaryDirectory() as room:
        convert(merged, tokenizer, Path(room) / "merged.gguf", pieces=pieces)
        words = vocabulary_of(Path(room) / "merged.gguf")
    (folder / "vocabulary.json").write_text(
        json.dumps(words, ensure_ascii=False, sort_keys=True) + "\n", "utf-8"
    )
    return {f"tokens:{folder.name}": asked.numpy().astype(np.int32), folder.name: logits}


def main() -> None:
    """Record the bases that are named on the command line, or all."""
    torch.set_num_threads(1)
    for name in sys.argv[1:] or CASES:
        cases = CASES[name]
        pieces = name != PAIRS
        build = tiny_bases()[name].build if pieces else pair_model
        with recording(archive_of(KIND, name)) as folder:
            tokenizer = pieces_tokenizer if pieces else pair_tokenizer
            convert(build(), tokenizer(), folder / "base.gguf", pieces=pieces)
            asked = torch.arange(3, 15)
            found = {"tokens": asked.numpy().astype(np.int32), "base": record.logits(build(), asked)}
            for case, how in cases.items():
                found |= record_case(build, tokenizer(), how, folder / case, pieces=pieces)
            np.savez_compressed(folder / "logits.npz", **found)


if __name__ == "__main__":
    main()
