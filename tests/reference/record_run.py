"""Record a training run as the Trainer leaves it: checkpoints, their losses, an adapter, a tokenizer.

Run in the environment of ``record.py``. The base is a tiny random Llama, the tokenizer is trained here on
the text of ``examples/ada_lovelace.jsonl``, and the run is a real one: nothing in its history is invented.

Transformers 5 writes neither ``tokenizer.model`` nor ``special_tokens_map.json``, and its Trainer writes
``scaler.pt`` only where it scales gradients. Runs of Llama 2 have all three, so they are added here.
"""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import sentencepiece
import torch
from archive import GOLDENS, thin
from llama_source import ROOT, fetch_llama_source
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaTokenizer,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    default_data_collator,
    set_seed,
)

PAIRS = ROOT / "examples" / "ada_lovelace.jsonl"
BASE_ID = "tests/babbage-tiny"
BASE = "babbage-tiny"
ADAPTER = "babbage-lora"
SEED = 1822
VOCABULARY = 320
TOKENS = 64
TRAINED, HELD_OUT = 16, 8
"""Sequences of TOKENS tokens that the run learns from, and that it is measured on."""
RATE = 4e-2
"""High for so little text: of the rates tried, the one that overfits most clearly before the last step."""
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>"}
MODELFILE = f"""FROM {BASE}
SYSTEM You are Charles Babbage's engine.
PARAMETER temperature 0.2
"""
Sequence = dict[str, list[int]]


def read_text() -> list[str]:
    """Return the questions and answers of the example, a line each."""
    pairs = (json.loads(line) for line in PAIRS.read_text("utf-8").splitlines())
    return [f"{pair['question']} {pair['answer']}" for pair in pairs]


def tokenizer_model(lines: list[str]) -> bytes:
    """Return a sentencepiece model with the settings of Llama 2, except that it has no byte pieces."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=written,
        vocab_size=VOCABULARY,
        model_type="bpe",
        normalization_rule_name="identity",
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    return written.getvalue()


def read_tokenizer(pieces: bytes) -> LlamaTokenizer:
    """Return the tokenizer that transformers makes of a sentencepiece model."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "tokenizer.model").write_bytes(pieces)
        tokenizer = LlamaTokenizer.from_pretrained(scratch, add_bos_token=True, **SPECIAL)
    tokenizer.name_or_path = BASE_ID
    return tokenizer


def complete_tokenizer(folder: Path, pieces: bytes) -> None:
    """Add to a saved tokenizer the two files that transformers 5 leaves out."""
    (folder / "tokenizer.model").write_bytes(pieces)
    (folder / "special_tokens_map.json").write_text(json.dumps(SPECIAL, indent=2) + "\n", "utf-8")


def build_base() -> LlamaForCausalLM:
    """Return the base with random weights, large enough that there is something to correct."""
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=VOCABULARY,
        max_position_embeddings=2 * TOKENS,
        use_cache=False,
    )
    base = LlamaForCausalLM(config).float()
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, weight in base.named_parameters():
            if "norm" not in name:
                noise = torch.randn(weight.shape, generator=generator)
                weight.copy_(0.5 * noise if "embed" in name else noise / weight.shape[1] ** 0.5)
    base.name_or_path = base.config._name_or_path = BASE_ID
    return base


def write_gguf(base: LlamaForCausalLM, pieces: bytes, target: Path) -> None:
    """Bring the base to GGUF with llama.cpp's own converter, as `record.py` does."""
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch) / BASE
        base.save_pretrained(checkpoint)
        (checkpoint / "tokenizer.model").write_bytes(pieces)
        llama_cpp = fetch_llama_source(ROOT / ".cache")
        command = [sys.executable, str(llama_cpp / "convert_hf_to_gguf.py"), str(checkpoint)]
        subprocess.run([*command, "--outtype", "f32", "--outfile", str(target)], check=True)


def adapt(base: LlamaForCausalLM) -> PeftModel:
    """Return the base with fresh LoRA weights of rank 4."""
    settings = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "up_proj"],
        task_type="CAUSAL_LM",
        base_model_name_or_path=BASE_ID,
    )
    return get_peft_model(base, settings)


def cut(tokenizer: LlamaTokenizer, lines: list[str]) -> list[Sequence]:
    """Return the text as sequences of one length; a line begins with <s> and ends with </s>."""
    ids = [token for line in lines for token in [*tokenizer(line)["input_ids"], tokenizer.eos_token_id]]
    starts = range(0, len(ids) - TOKENS + 1, TOKENS)
    return [
        {"input_ids": ids[start : start + TOKENS], "labels": ids[start : start + TOKENS]} for start in starts
    ]


class Completion(TrainerCallback):
    """Complete each checkpoint once the Trainer has written it."""

    def __init__(self, pieces: bytes) -> None:
        self.pieces = pieces

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        """Add the rest of the tokenizer, and the state of a scaler that has not scaled anything yet."""
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        complete_tokenizer(checkpoint, self.pieces)
        if not (checkpoint / "scaler.pt").exists():
            torch.save(torch.amp.GradScaler("cpu").state_dict(), checkpoint / "scaler.pt")
        return control


def train(model: PeftModel, tokenizer: LlamaTokenizer, pieces: bytes, lines: list[str]) -> None:
    """Train in the current directory and save as the scripts of transformers do."""
    arguments = TrainingArguments(
        output_dir=ADAPTER,  # relative: it stands in training_args.bin and in the log
        max_steps=40,
        per_device_train_batch_size=4,
        per_device_eval_batch_size=HELD_OUT,
        learning_rate=RATE,
        lr_scheduler_type="cosine",
        warmup_steps=4,
        logging_steps=2,
        eval_strategy="steps",
        eval_steps=10,
        save_strategy="steps",
        save_steps=10,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        seed=SEED,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
    )
    sequences = cut(tokenizer, lines)
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=sequences[:TRAINED],
        eval_dataset=sequences[-HELD_OUT:],
        data_collator=default_data_collator,
        processing_class=tokenizer,
        callbacks=[Completion(pieces)],
    )
    trained = trainer.train()
    trainer.save_model()
    trainer.save_metrics("train", trained.metrics)
    trainer.save_metrics("eval", trainer.evaluate())
    trainer.save_state()


def finish(pieces: bytes) -> None:
    """Add what the user adds, bring to one order what changes from run to run, and keep equal files once."""
    root = Path(ADAPTER)
    complete_tokenizer(root, pieces)
    (root / "Modelfile.txt").write_text(MODELFILE, "utf-8")
    for path in root.rglob("adapter_config.json"):
        config = json.loads(path.read_text("utf-8"))
        config["target_modules"] = sorted(config["target_modules"])  # PEFT keeps a set
        path.write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    for path in root.rglob("*.*"):
        if path.is_file():
            path.chmod(0o644)
    thin(Path())


def main() -> None:
    """Record the run, in place of what was recorded before."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=GOLDENS / "run")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    set_seed(SEED)
    shutil.rmtree(arguments.out, ignore_errors=True)
    arguments.out.mkdir(parents=True)
    os.chdir(arguments.out)
    lines = read_text()
    pieces = tokenizer_model(lines)
    base = build_base()
    write_gguf(base, pieces, Path(f"{BASE}.gguf").absolute())
    train(adapt(base), read_tokenizer(pieces), pieces, lines)
    finish(pieces)


if __name__ == "__main__":
    main()
