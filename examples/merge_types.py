"""Measure what the example adapter keeps in each type of a merged file, and write the table of docs/merge.md.

It needs the extra ``llama``, and takes some minutes::

    python examples/merge_types.py --base SmolLM2-135M-Instruct.Q4_1.gguf

Behaviour is compared on pairs of the training (`ada_lovelace.jsonl`). The adapter is scaled down, too,
because the change of most adapters is smaller than that of the example.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "merge.md"
BEGIN, END = "<!-- measured -->", "<!-- end -->"
PAIRS = 8
SCALES = (1.0, 0.4, 0.15)
TYPES = (
    "--merge-type f16",
    "--merge-type q8_0",
    "--merge-size 102MB",
    "--merge-size 100MB",
    "--merge-type same",
)


def training_text() -> str:
    """Return some pairs of the training, as the model of the example is asked them."""
    pairs = map(json.loads, (HERE / "ada_lovelace.jsonl").read_text("utf-8").splitlines()[:PAIRS])
    return "".join(
        f"<|im_start|>user\n{pair['question']}<|im_end|>\n<|im_start|>assistant\n{pair['answer']}<|im_end|>\n"
        for pair in pairs
    )


def measure(base: Path, words: list[str], scale: float, folder: Path) -> dict[str, Any]:
    """Return what the JSON document of a merge says of the merged file."""
    text = folder / "pairs.txt"
    text.write_text(training_text(), "utf-8")
    command = [sys.executable, "-m", "ollama_pack", "merge", str(HERE / "ada-lovelace-lora"), "--json"]
    command += ["--base", str(base), "--out", str(folder / "merged.gguf"), "--scale", str(scale)]
    command += ["--kept-on", str(text), "--min-kept", "0", *words]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    merged: dict[str, Any] = json.loads(told.stdout)["merged"]
    return merged


def main() -> None:
    """Measure, print the table, and write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, required=True)
    base = parser.parse_args().base
    rows = [
        "| option | ΔW of W | size | gain | cosine | behaviour kept |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for option in TYPES:
            for scale in SCALES:
                merged = measure(base, option.split(), scale, Path(folder))
                kept, behaviour = merged["kept"], merged["behaviour"]["kept"]
                rows.append(
                    f"| `{option}` | {100 * kept['relative']:.1f} % | {merged['size'] / 1e6:.1f} MB "
                    f"| {kept['gain']:.2f} | {kept['cosine']:.2f} | {100 * behaviour:.1f} % |"
                )
                print(rows[-1], flush=True)
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    table = "\n".join(rows)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
