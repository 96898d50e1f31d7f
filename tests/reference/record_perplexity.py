"""Record how likely transformers and PEFT find the held-out answers of the example, in float32.

    python tests/reference/record_perplexity.py .cache/SmolLM2-135M-Instruct.Q4_1.gguf

Only the tokens of an answer and the token that ends it count. The chat template is applied by transformers,
which shares no code with ollama-pack.
"""

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
sys.path.insert(0, str(EXAMPLES))
from train_ada import read_base, read_tokenizer  # noqa: E402 — beside the data

HELD_OUT = EXAMPLES / "ada_lovelace_held_out.jsonl"
ADA = EXAMPLES / "ada-lovelace-lora"
GOLDEN = ROOT / "tests" / "goldens" / "reference" / "perplexity.json"


def measure(model, tokenizer):
    """Return the number of tokens of all answers, and their mean loss."""
    lost, count = 0.0, 0
    for line in HELD_OUT.read_text("utf-8").splitlines():
        pair = json.loads(line)
        asked = [{"role": "user", "content": pair["question"]}]
        whole = [*asked, {"role": "assistant", "content": pair["answer"]}]
        before = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
        text = tokenizer.apply_chat_template(whole, tokenize=False)
        assert text.startswith(before)
        start = len(tokenizer(before, add_special_tokens=False)["input_ids"])
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        end = tokens.index(tokenizer.eos_token_id, start) + 1
        with torch.no_grad():
            logits = model(torch.tensor([tokens[:end]])).logits[0].double().log_softmax(-1)
        lost -= sum(float(logits[at - 1, tokens[at]]) for at in range(start, end))
        count += end - start
    return {"tokens": count, "loss": lost / count}


def main():
    """Write the golden file."""
    base = Path(sys.argv[1]).resolve()
    tokenizer, model = read_tokenizer(base), read_base(base).eval()
    tokenizer.chat_template = (ADA / "chat_template.jinja").read_text("utf-8")
    found = {"base": measure(model, tokenizer)}
    found["adapted"] = measure(PeftModel.from_pretrained(model, ADA).eval(), tokenizer)
    GOLDEN.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
