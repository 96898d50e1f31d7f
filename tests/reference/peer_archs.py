"""Record what llama.cpp's own converter and runtime make of the adapter of each row.

Run by ``make reference`` after ``record_archs.py``. The answers go to ``peer.json`` beside the records.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import record
from archive import GOLDENS, unpacked
from archs_mixtures import MIXED
from archs_models import TINY
from kinds_models import Tiny, build_tiny, vocabulary
from llama_source import ROOT, fetch_llama_source
from peer_kinds import RIGHT, SAME, Peer
from record_archs import KIND

ANSWERS = GOLDENS / KIND / "peer.json"


def judge(model: Tiny, vocab: int, llama_cpp: Path, scratch: Path) -> dict[str, Any]:
    """Return what became of a row's adapter: its outcome, and how far it misses where it runs."""
    folder, checkpoint = unpacked(KIND, model.name), scratch / f"tiny-{model.name}"
    build_tiny(model, vocab).save_pretrained(checkpoint)
    (checkpoint / "tokenizer.model").write_bytes(record.tokenizer_model())
    path = checkpoint / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **model.written}), "utf-8")
    peer = Peer(llama_cpp, model.name, checkpoint, folder / "base.gguf", folder / "logits.npz")
    target = scratch / "adapter.gguf"
    said = peer.convert(folder, target)
    if said is not None:
        return {"outcome": "convert error", "says": said}
    with np.load(peer.records) as records:
        truth, base, tokens = records["all"], records["base"], records["tokens"]
    how, said, found = peer.run(target, tokens)
    if how != "ran":
        return {"outcome": how, "says": said}
    if np.abs(found["1"] - found["0"]).max() <= SAME:
        return {"outcome": "ignored"}
    miss = float(np.abs(found["1"] - truth).max() / np.abs(truth - base).max())
    return {"outcome": "right" if miss <= RIGHT else "wrong", "miss": float(f"{miss:.2g}")}


def main() -> None:
    """Record the rows that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="rows to record; all if none is named")
    names = parser.parse_args().names
    llama_cpp, vocab = fetch_llama_source(ROOT / ".cache"), vocabulary()
    found = json.loads(ANSWERS.read_text("utf-8")) if names else {}
    for model in (each for each in (*TINY, *MIXED) if not names or each.name in names):
        with tempfile.TemporaryDirectory() as scratch:
            found[model.name] = judge(model, vocab, llama_cpp, Path(scratch))
    ANSWERS.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
