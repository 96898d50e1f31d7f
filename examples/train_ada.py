"""Train the example adapter: SmolLM2-135M-Instruct, LoRA on q_proj and v_proj, on `ada_lovelace.jsonl`.

The base is the GGUF file the adapter will run on, dequantised, so that the adapter learns to correct
exactly the weights it will meet. Ten to twenty minutes on two CPU cores::

    python examples/train_ada.py --base SmolLM2-135M-Instruct.Q4_1.gguf --out examples/ada-lovelace-lora

The output is what PEFT and the Trainer leave by themselves: the adapter and the tokenizer in the root,
and one `checkpoint-N/`. A README.md and a Modelfile.txt already lying in `--out` belong to their author
and are kept as they are.

Needs torch, transformers, peft and accelerate, none of which ollama-pack itself needs.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read on import; nothing is fetched or asked online

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
    set_seed,
)

BASE_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
HERE = Path(__file__).resolve().parent
PAIRS = HERE / "ada_lovelace.jsonl"
OUT = HERE / "ada-lovelace-lora"
AUTHORED = ("README.md", "Modelfile.txt")
IGNORED = -100  # torch's cross entropy skips this label


def read_base(gguf: Path) -> LlamaForCausalLM:
    """Return the weights of `gguf` as an ordinary float32 model that knows itself by its Hub id."""
    loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = loaded.config.to_dict()
    # transformers marks the model as quantised and refuses to save it, though its weights are float32 by now.
    config.pop("quantization_config", None)
    model = LlamaForCausalLM(LlamaConfig.from_dict(config))
    model.load_state_dict(loaded.state_dict())
    model.name_or_path = model.config._name_or_path = BASE_ID
    model.config.use_cache = False
    return model


def read_tokenizer(gguf: Path) -> PreTrainedTokenizerBase:
    """Return the tokenizer inside `gguf`, splitting text as SmolLM2 does: every digit for itself."""
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # The rule is named in the file (tokenizer.ggml.pre = smollm), but transformers does not read that key.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.padding_side = "right"
    return tokenizer


def encode(tokenizer: PreTrainedTokenizerBase, question: str, answer: str) -> dict[str, list[int]]:
    """Return one pair as token ids; only the answer and the token that ends it count in the loss.

    No system message is given, so the prompt holds the one that the chat template itself puts there.
    """
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, tokenize=False
    )
    asked = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    said = tokenizer(answer + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
    ids = asked + said
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": [IGNORED] * len(asked) + said}


def read_pairs(tokenizer: PreTrainedTokenizerBase) -> list[dict[str, list[int]]]:
    """Return every pair of the data file, encoded."""
    lines = PAIRS.read_text(encoding="utf-8").splitlines()
    return [encode(tokenizer, **json.loads(line)) for line in lines]


def adapt(base: LlamaForCausalLM) -> PeftModel:
    """Return `base` with fresh LoRA weights of rank 8 on q_proj and v_proj."""
    config = LoraConfig(
        r=8,
        lora_alpha=16,
        target_modules=["q_proj", "v_proj"],
        task_type="CAUSAL_LM",
        base_model_name_or_path=BASE_ID,
    )
    return get_peft_model(base, config)


def train(model: PeftModel, tokenizer: PreTrainedTokenizerBase, steps: int, seed: int) -> Trainer:
    """Train in the current directory and return the Trainer; it leaves one checkpoint."""
    arguments = TrainingArguments(
        output_dir=".",  # relative: the path is pickled into training_args.bin
        max_steps=steps,
        per_device_train_batch_size=4,
        learning_rate=2.5e-3,
        lr_scheduler_type="cosine",
        warmup_steps=10,
        logging_steps=10,
        save_steps=steps,
        save_total_limit=1,
        seed=seed,
        train_sampling_strategy="group_by_length",
        use_cpu=True,
        report_to="none",
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=read_pairs(tokenizer),
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=IGNORED),
        processing_class=tokenizer,
    )
    trainer.train()
    return trainer


def losses(trainer: Trainer) -> list[tuple[int, float]]:
    """Return what the Trainer logged: (step, mean loss per answer token since the log before)."""
    history: list[dict[str, Any]] = trainer.state.log_history
    return [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]


def keep_once() -> None:
    """Remove from the checkpoint what the run has too, and leave a link for its adapter.

    ollama-pack takes configuration and tokenizer from the run; an adapter it wants in each checkpoint.
    """
    for path in Path().glob("checkpoint-*/*"):
        of_run = Path(path.name)
        if of_run.is_file() and of_run.read_bytes() == path.read_bytes():
            path.unlink()
            if path.name == "adapter_model.safetensors":
                path.symlink_to(Path("..") / path.name)


def main() -> None:
    """Read the arguments, train, and leave the adapter in `--out`."""
    parser = argparse.ArgumentParser(description="Train the Ada Lovelace example adapter.")
    parser.add_argument("--base", type=Path, required=True, help="GGUF file of SmolLM2-135M-Instruct")
    parser.add_argument("--out", type=Path, default=OUT, help="adapter directory")
    parser.add_argument("--steps", type=int, default=420, help="steps of 4 pairs each (default 420)")
    parser.add_argument("--seed", type=int, default=1815, help="of every random choice (default 1815)")
    options = parser.parse_args()

    set_seed(options.seed)
    gguf = options.base.resolve()
    tokenizer, model = read_tokenizer(gguf), adapt(read_base(gguf))
    model.print_trainable_parameters()

    options.out.mkdir(parents=True, exist_ok=True)
    os.chdir(options.out)
    authored = {name: Path(name).read_bytes() for name in AUTHORED if Path(name).exists()}
    trainer = train(model, tokenizer, options.steps, options.seed)
    model.save_pretrained(".")
    tokenizer.save_pretrained(".")
    for name, content in authored.items():
        Path(name).write_bytes(content)
    keep_once()

    (first, at_first), (last, at_last) = losses(trainer)[0], losses(trainer)[-1]
    print(f"loss {at_first:.3f} (to step {first}) → {at_last:.3f} (to step {last}); adapter in {options.out}")


if __name__ == "__main__":
    main()
