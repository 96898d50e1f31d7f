"""Ask a base model, and the same model with a LoRA adapter, the same questions, and show both answers.

Both run in llama.cpp, at temperature 0, with the chat template inside the base's GGUF file and no system
message of our own::

    python examples/ask.py --base SmolLM2-135M-Instruct.Q4_1.gguf --adapter ada.gguf "Who are you?"

Exit codes are those of ollama-pack: 2 usage or llama-cpp-python missing, 3 a file cannot be loaded.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from llama_cpp import Llama

QUESTIONS = (
    "Who are you?",
    "When were you born?",
    "What did you publish in 1843?",
)
MAX_TOKENS = 160
NARROW = 60  # columns; below this, two answers side by side are unreadable
SIDES = (("base:", "yellow"), ("ada:", "green"))


def fail(code: int, what: str, hint: str) -> NoReturn:
    """Say what is wrong and what to try, and exit with `code`."""
    print(f"Error: {what}\n  try: {hint}", file=sys.stderr)
    sys.exit(code)


def load(base: Path, adapter: Path | None = None) -> "Llama":
    """Return the model in `base`, with `adapter` applied if one is given.

    Raises:
        ValueError: llama.cpp cannot load the model.
    """
    from llama_cpp import Llama

    path = None if adapter is None else str(adapter)
    return Llama(str(base), lora_path=path, n_ctx=1024, seed=0, verbose=False)


def fits(model: "Llama", adapter: Path) -> bool:
    """Return whether llama.cpp can load `adapter` for `model`.

    `Llama(lora_path=…)` would take a bad adapter for a good one: it expects None where the C function
    hands out a NULL pointer, which is false but not None, and then runs into it.
    """
    from llama_cpp import llama_adapter_lora_free, llama_adapter_lora_init

    handle: Any = llama_adapter_lora_init(model.model, str(adapter).encode())
    if not handle:
        return False
    llama_adapter_lora_free(handle)
    return True


def answer(model: "Llama", question: str) -> str:
    """Return the model's most likely answer to a lone question."""
    untyped: Any = model  # llama_cpp annotates only half of what is called here
    untyped.reset()  # no answer may depend on the question before
    reply = untyped.create_chat_completion(
        [{"role": "user", "content": question}], temperature=0.0, max_tokens=MAX_TOKENS
    )
    said, why = reply["choices"][0]["message"]["content"].strip(), reply["choices"][0]["finish_reason"]
    return f"{said} […]" if why == "length" else said


def show(console: Console, question: str, answers: tuple[str, str]) -> None:
    """Print a question and both answers: in two columns, or one below the other on a narrow terminal."""
    labels = [Text(label, style=style) for label, style in SIDES]
    bodies = [Text(said) for said in answers]
    console.print(Text(question, style="bold"))
    table = Table.grid(padding=(0, 3, 0, 0), expand=True)
    if console.width < NARROW:
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        for label, body in zip(labels, bodies, strict=True):
            table.add_row(label, body)
    else:
        table.add_column(ratio=1)
        table.add_column(ratio=1)
        table.add_row(*labels)
        table.add_row(*bodies)
    console.print(table)
    console.print()


def read_models(base: Path, adapter: Path) -> tuple["Llama", "Llama"]:
    """Return the plain and the adapted model, or exit with the reason why not."""
    for path in (base, adapter):
        if not path.is_file():
            fail(3, f"There is no file {path}.", "--base and --adapter with GGUF files that exist")
    try:
        plain = load(base)
    except ImportError:
        fail(2, "llama-cpp-python is not installed.", "pip install 'ollama-pack[llama]'")
    except ValueError:
        fail(3, f"llama.cpp cannot load {base} as a model.", "--base with the GGUF file of SmolLM2")
    if not fits(plain, adapter):
        fail(3, f"llama.cpp cannot load {adapter} as an adapter of {base}.", "ollama-pack convert DIRECTORY")
    return plain, load(base, adapter)


def main() -> None:
    """Read the arguments, ask, and print each question as soon as both have answered it."""
    parser = argparse.ArgumentParser(description="Ask a base model and its adapted self the same questions.")
    parser.add_argument("--base", type=Path, required=True, help="GGUF file of the base model")
    parser.add_argument("--adapter", type=Path, required=True, help="GGUF LoRA file")
    parser.add_argument("questions", nargs="*", default=QUESTIONS, help="what to ask (default: three)")
    options = parser.parse_args()

    plain, adapted = read_models(options.base, options.adapter)
    console = Console(highlight=False)
    for question in options.questions:
        show(console, question, (answer(plain, question), answer(adapted, question)))


if __name__ == "__main__":
    main()
