"""Record what llama.cpp's own converter and runtime make of every kind of adapter.

Run by ``make reference`` after ``record_kinds.py``. Each adapter is converted by
``convert_lora_to_gguf.py`` as a user would call it, loaded by llama.cpp in a process of its own, and
compared with the truth that lies beside it. The answers go to ``peer.json``.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import smollm2
from archive import BASE, GOLDENS, SUFFIX, lend_base, unpack
from kinds_models import tiny_bases, write_checkpoint
from kinds_smollm2 import SOURCE, smollm2_config
from kinds_split import phi_base
from llama_source import ROOT, fetch_llama_source
from record import Array

RUNTIME = ROOT / ".venv" / "bin" / "python"
CHILD = ROOT / "tests" / "llama" / "ask_logits.py"
SECONDS = 300
LONGEST = 160
RIGHT = 0.02
"""Largest miss that still counts as right, in units of what the adapter changes."""
SAME = 1e-6
CONFIG = "adapter_config.json"
SECOND = {"second-adapter": "style"}
FOUR_BITS = {
    "qlora-config": {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
}
"""Cases whose base says that its weights are in 4 bits, as those do that QLoRA is trained on."""
PATHS = re.compile(r"(?<![\w:/])/[^\s'\"]*/")
REASONS = re.compile(r"fail|error|assert|unexpected|says", re.IGNORECASE)


@dataclass(frozen=True)
class Peer:
    """llama.cpp's converter, and one model in the two forms that it and the runtime want."""

    llama_cpp: Path
    name: str
    checkpoint: Path
    base: Path
    records: Path

    def convert(self, adapter: Path, target: Path) -> str | None:
        """Convert an adapter; return what the converter says if it stops, and None if it does not."""
        command = [sys.executable, str(self.llama_cpp / "convert_lora_to_gguf.py"), "--outtype", "f32"]
        more = ["--base", str(self.checkpoint), "--outfile", str(target), str(adapter)]
        try:
            ran = subprocess.run(
                [*command, *more], capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"no end within {SECONDS} s"
        return None if ran.returncode == 0 else complaint(ran.stderr)

    def run(self, adapter: Path, tokens: Array) -> tuple[str, str, dict[str, Array]]:
        """Return how llama.cpp fared with a converted adapter, what it said, and its answers.

        The answers are the bare base's, named 0, and the adapter's, named 1.
        """
        with tempfile.TemporaryDirectory() as scratch:
            job, answers = Path(scratch) / "job.json", Path(scratch) / "answers.npz"
            paths = {"base": str(self.base), "answers": str(answers), "adapters": [None, str(adapter)]}
            job.write_text(json.dumps({**paths, "tokens": tokens.tolist()}), "utf-8")
            command = [str(RUNTIME), str(CHILD), str(job)]
            ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
            if ran.returncode != 0:
                how = "crash" if ran.returncode < 0 else "load error"
                return how, reason(ran.stderr), {}
            with np.load(answers) as found:
                held = {key: found[key] for key in found.files}
        return ("ran", "", held) if "1" in held else ("load error", reason(ran.stderr), held)

    def judge(self, case: Path) -> dict[str, Any]:
        """Return what became of one case."""
        with np.load(self.records) as arrays:
            truth, columns = arrays.get(case.name), arrays.get("columns")
            base = arrays[f"base:{case.name}" if f"base:{case.name}" in arrays else "base"]
            tokens = arrays[f"tokens:{case.name}" if f"tokens:{case.name}" in arrays else "tokens"]
        with tempfile.TemporaryDirectory() as scratch:
            target = Path(scratch) / "adapter.gguf"
            peer = self.in_four_bits(case.name, Path(scratch)) if case.name in FOUR_BITS else self
            said = peer.convert(adapter_folder(case), target)
            if said is not None:
                return self.verdict("convert error", says=said)
            how, said, found = self.run(target, tokens)
        if how != "ran":
            return self.verdict(how, says=said)
        if truth is None:
            return self.verdict("accepted")
        if np.abs(found["1"] - found["0"]).max() <= SAME:
            return self.verdict("ignored", 1.0)
        got = found["1"] if columns is None else found["1"][:, columns]
        miss = float(np.abs(got - truth).max() / np.abs(truth - base).max())
        return self.verdict("right" if miss <= RIGHT else "wrong", miss)

    def in_four_bits(self, case: str, scratch: Path) -> "Peer":
        """Return the same peer with a base whose configuration has `quantization_config`."""
        checkpoint = scratch / "checkpoint"
        shutil.copytree(self.checkpoint, checkpoint)
        config = json.loads((checkpoint / "config.json").read_text("utf-8"))
        config["quantization_config"] = FOUR_BITS[case]
        (checkpoint / "config.json").write_text(json.dumps(config), "utf-8")
        return replace(self, checkpoint=checkpoint)

    def verdict(self, outcome: str, miss: float | None = None, says: str = "") -> dict[str, Any]:
        """Return one entry of `peer.json`."""
        rounded = None if miss is None or not np.isfinite(miss) else float(f"{miss:.2g}")
        return {"model": self.name, "outcome": outcome, "miss": rounded, "says": says}


def stripped(line: str) -> str:
    """Return a line without folders, and not too long."""
    return PATHS.sub("", line).strip()[:LONGEST]


def complaint(stderr: str) -> str:
    """Return why the converter stopped: its first error, or the last line of a traceback."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return stripped((errors or lines[-1:] or [""])[0])


def reason(stderr: str) -> str:
    """Return why llama.cpp stopped: the first line that speaks of a failure."""
    lines = [line for line in stderr.splitlines() if REASONS.search(line)]
    return stripped((lines or [""])[0])


def adapter_folder(case: Path) -> Path:
    """Return the folder a user would hand over: the one adapter there is, or the one that is meant."""
    if case.name in SECOND:
        return case / SECOND[case.name]
    if (case / CONFIG).exists():
        return case
    inner = [config.parent for config in case.glob(f"*/{CONFIG}")]
    return inner[0] if len(inner) == 1 else case


def peers(out: Path, room: Path) -> Iterator[Peer]:
    """Yield every recorded model, its checkpoint and its base GGUF file."""
    llama_cpp = fetch_llama_source(ROOT / ".cache")
    bases = {**tiny_bases(), "phimini": phi_base()}
    for archive in sorted(out.glob(f"*{SUFFIX}")):
        name = archive.name.removesuffix(SUFFIX)
        folder, checkpoint = room / "records" / name, room / name
        unpack(archive, folder)
        if name in bases:
            lend_base(folder)
            write_checkpoint(bases[name], checkpoint)
        else:
            smollm2.write_f32(SOURCE, folder / BASE)
            smollm2_config().save_pretrained(checkpoint)
        yield Peer(llama_cpp, name, checkpoint, folder / BASE, folder / "logits.npz")


def main() -> None:
    """Judge all cases, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="CASE", help="judge these cases; all if absent")
    parser.add_argument("--out", type=Path, default=GOLDENS / "kinds")
    arguments = parser.parse_args()
    path = arguments.out / "peer.json"
    known = json.loads(path.read_text("utf-8")) if arguments.only and path.exists() else {}
    with tempfile.TemporaryDirectory() as room, ThreadPoolExecutor(os.cpu_count()) as pool:
        for peer in peers(arguments.out, Path(room)):
            cases = [case for case in sorted(peer.records.parent.iterdir()) if case.is_dir()]
            asked = [case for case in cases if not arguments.only or case.name in arguments.only]
            for case, entry in zip(asked, pool.map(peer.judge, asked), strict=True):
                known[case.name] = entry
    path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
