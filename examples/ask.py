"""Ask a base model, and the same model with a LoRA adapter, the same questions, and show both answers.

Both run in llama.cpp, at temperature 0, with the chat template inside the base's GGUF file and no system
message of our own::

    python examples/ask.py --base SmolLM2-135M-Instruct.Q4_1.gguf --adapter ada.gguf "Who are you?"

Exit codes are those of ollama-pack: 2 usage or xllamacpp missing or not loadable, 3 a file cannot be loaded.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from xllamacpp import Server

QUESTIONS = (
    "Who are you?",
    "When were you born?",
    "What did you publish in 1843?",
)
MAX_TOKENS = 160
OPENMP = "your system's OpenMP runtime: on Debian and Ubuntu, apt install libgomp1"
NARROW = 60  # columns; below this, two answers side by side are unreadable
SIDES = (("base:", "yellow"), ("ada:", "green"))


def fail(code: int, what: str, hint: str) -> NoReturn:
    """Say what is wrong and what to try, and exit with `code`."""
    print(f"Error: {what}\n  try: {hint}", file=sys.stderr)
    sys.exit(code)


def load(base: Path, adapter: Path) -> "Server":
    """Return llama-server in this process, with a base and an adapter that acts when a request says so.

    Raises:
        RuntimeError: llama.cpp cannot load the base, or the adapter for it.
    """
    from xllamacpp import CommonAdapterLoraInfo, CommonParams, Server

    settings = CommonParams()
    settings.model.path = str(base)
    settings.lora_adapters = [CommonAdapterLoraInfo(str(adapter), 1.0)]
    settings.lora_init_without_apply = True
    settings.n_ctx, settings.n_parallel, settings.use_jinja = 1024, 1, True
    settings.verbosity = -1  # its log is not for those who came to talk
    return Server(settings)


def answer(model: "Server", question: str, scale: float) -> str:
    """Return the most likely answer to a lone question, of the base (scale 0) or the adapted model (1)."""
    reply = model.handle_chat_completions(
        {
            "messages": [{"role": "user", "content": question}],
            "temperature": 0.0,
            "max_tokens": MAX_TOKENS,
            "cache_prompt": False,  # no answer may depend on the question before
            "lora": [{"id": 0, "scale": scale}],
        }
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


def read_model(base: Path, adapter: Path) -> "Server":
    """Return the model, or exit with the reason why not."""
    for path in (base, adapter):
        if not path.is_file():
            fail(3, f"There is no file {path}.", "--base and --adapter with GGUF files that exist")
    try:
        return load(base, adapter)
    except ModuleNotFoundError:
        fail(2, "xllamacpp is not installed.", "pip install 'ollama-pack[try]'")
    except ImportError as error:  # on Linux a library that it is linked with
        fail(2, f"xllamacpp cannot be loaded: {error}.", OPENMP)
    except RuntimeError:
        fail(3, f"llama.cpp cannot load {adapter} as an adapter of {base}.", "ollama-pack convert DIRECTORY")


def main() -> None:
    """Read the arguments, ask, and print each question as soon as both have answered it."""
    parser = argparse.ArgumentParser(description="Ask a base model and its adapted self the same questions.")
    parser.add_argument("--base", type=Path, required=True, help="GGUF file of the base model")
    parser.add_argument("--adapter", type=Path, required=True, help="GGUF LoRA file")
    parser.add_argument("questions", nargs="*", default=QUESTIONS, help="what to ask (default: three)")
    options = parser.parse_args()

    model = read_model(options.base, options.adapter)
    console = Console(highlight=False)
    for question in options.questions:
        show(console, question, (answer(model, question, 0.0), answer(model, question, 1.0)))


if __name__ == "__main__":
    main()
