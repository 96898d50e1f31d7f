"""Measure a merge against llama-export-lora, and against copying and hashing what was written.

``make bench`` runs this after `run.py`. The base has eight blocks in the shapes of Llama-2-7B, in Q4_0; the
adapter is rank 16 on all seven linear modules. Whole processes, in turn. Ours includes the SHA-256, the proof
of every weight and the fsync; the peer's none of these. The peer's output is F16, ours Q8_0.
"""

import argparse
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
from adapters import FEED_FORWARD, HIDDEN, SHAPES, dense_tensors, write_adapter
from measure import Command, Series, measure, peak_together
from peer import ROOT
from report import figures
from run import forget, machine

BASE_ID = "bench/eight-blocks"
BLOCKS, RANK, WORDS = 8, 16, 32000
TENSORS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
FASTER, SLOWER, MEMORY = 2.0, 1.2, 200


def write_base(path: Path) -> None:
    """Write a base of random blocks of Q4_0, whose scales are usual ones."""
    writer, random = gguf.GGUFWriter(path, "llama", use_temp_file=True), np.random.default_rng(1)
    for add, value in (
        (writer.add_block_count, BLOCKS),
        (writer.add_embedding_length, HIDDEN),
        (writer.add_feed_forward_length, FEED_FORWARD),
        (writer.add_head_count, 32),
        (writer.add_head_count_kv, 32),
        (writer.add_layer_norm_rms_eps, 1e-5),
        (writer.add_context_length, 4096),
    ):
        add(value)
    scale = np.frombuffer(struct.pack("<e", 0.01), np.uint8)

    def add_matrix(name: str, rows: int, columns: int) -> None:
        blocks = random.integers(0, 256, (rows, columns // 32, 18), np.uint8)
        blocks[:, :, :2] = scale
        writer.add_tensor(name, blocks.reshape(rows, -1), raw_dtype=gguf.GGMLQuantizationType.Q4_0)

    for name in ("token_embd.weight", "output.weight"):
        add_matrix(name, WORDS, HIDDEN)
    writer.add_tensor("output_norm.weight", np.ones(HIDDEN, np.float32))
    for block in range(BLOCKS):
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{block}.{norm}.weight", np.ones(HIDDEN, np.float32))
        for module, name in TENSORS.items():
            add_matrix(f"blk.{block}.{name}.weight", *SHAPES[module])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def prepare(folder: Path) -> None:
    """Write the base and the adapter, as a directory and as a GGUF LoRA file, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "lora.gguf").exists():
        write_base(folder / "base.gguf")
        tensors = [each for each in dense_tensors(tuple(SHAPES), RANK) if _block_of(each[0]) < BLOCKS]
        write_adapter(folder / "adapter", BASE_ID, tuple(SHAPES), RANK, tensors)
        words = ["convert", str(folder / "adapter"), "--base", str(folder / "base.gguf"), "--quiet"]
        command = [sys.executable, "-m", "ollama_pack", *words, "--out", str(folder / "lora.gguf")]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def _block_of(name: str) -> int:
    """Return the block that a tensor of an adapter belongs to."""
    return int(name.partition(".layers.")[2].partition(".")[0])


def commands(folder: Path, peer: str | None) -> list[Command]:
    """Return everything that is measured, in the order of a round."""
    base, ours, copy, theirs = (folder / f"{name}.gguf" for name in ("base", "merged", "copy", "theirs"))
    words = ["merge", str(folder / "adapter"), "--base", str(base), "--out", str(ours), "--quiet"]
    listed = [
        Command("ollama-pack merge", [sys.executable, "-m", "ollama_pack", *words], forget(ours)),
        Command("cp", ["cp", str(ours), str(copy)], forget(copy)),
        Command("sha256sum", ["sha256sum", str(ours)]),
    ]
    if peer:
        export = [peer, "-m", str(base), "--lora", str(folder / "lora.gguf"), "-o", str(theirs)]
        listed.append(Command("llama-export-lora", export, forget(theirs)))
    return listed


def page(series: dict[str, Series], together: float, facts: list[str], rounds: int) -> str:
    """Return the report."""
    ours = series["ollama-pack merge"]
    floor = series["cp"].median + series["sha256sum"].median
    within = ours.median / floor
    promises = [
        (f"at most {SLOWER:g} × cp + sha256sum of its output", f"{within:.2f} ×", within <= SLOWER),
        (f"peak memory at most {MEMORY} MiB, all processes", f"{together:.0f} MiB", together <= MEMORY),
    ]
    if (theirs := series.get("llama-export-lora")) and not theirs.failure:
        ratio = theirs.median / ours.median
        what = f"faster than llama-export-lora, at least {FASTER:g}×"
        promises.insert(0, (what, f"{ratio:.2f}×", ratio >= FASTER))
    lines = [
        "# How fast a merge is",
        "",
        "Made by `make bench`: eight blocks in the shapes of Llama-2-7B in Q4_0, an adapter of rank 16 on",
        f"all linear modules. Whole processes, in turn, median of {rounds} after a warm-up. The time of",
        "ollama-pack has SHA-256, the proof of every weight and fsync in it; that of the others has not. Its",
        "processes together have the memory in the first table, and the largest of them that in the second.",
        "",
        "| promise | measured | holds |",
        "| --- | --- | --- |",
        *(f"| {what} | {found} | {'yes' if holds else '**no**'} |" for what, found, holds in promises),
        "",
        *figures(series),
        "",
        *(f"- {fact}" for fact in facts),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write MERGING.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="counted runs of each command")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "bench")
    parser.add_argument("--export-lora", default=shutil.which("llama-export-lora"), help="the peer's program")
    parser.add_argument("--built", default="", help="how the peer was built, for the page")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "MERGING.md")
    arguments = parser.parse_args()
    folder: Path = arguments.cache / "merging"
    prepare(folder)
    load = os.getloadavg()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody compiles a program each time it runs
    series = measure(commands(folder, arguments.export_lora), arguments.rounds, folder, environment)
    if series["ollama-pack merge"].failure:
        sys.exit(series["ollama-pack merge"].failure)
    peer = f"llama-export-lora{arguments.built and ', '}{arguments.built}"
    if not arguments.export_lora:
        peer = "none, llama-export-lora was not found"
    together = peak_together(commands(folder, None)[0], folder, environment)
    text = page(
        series, max(together, series["ollama-pack merge"].peak), machine(load, peer), arguments.rounds
    )
    print(text)
    arguments.out.write_text(text, "utf-8")
    for name in ("merged", "copy", "theirs"):
        (folder / f"{name}.gguf").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
