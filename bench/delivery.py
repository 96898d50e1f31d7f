"""Measure what registering a model moves, and how long it takes, by each delivery.

``make delivery`` runs this where an Ollama is installed (or OLLAMA_PACK_TEST_OLLAMA names its program): a
daemon of its own with an empty store, a sparse base of 4 GB, and for every run a new adapter of 80 MB. The
table is printed and written to bench/DELIVERY.md.
"""

import hashlib
import os
import platform
import secrets
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import gguf
import numpy as np
import real_daemon
from scratch_store import add_blob

from ollama_pack.arch.hparams import HParams
from ollama_pack.base.model import BaseModel
from ollama_pack.deliver import choose
from ollama_pack.deliver.package import Package
from ollama_pack.formats.go_json import encode_go_json
from ollama_pack.lora.plan import LoraFile
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.names import parse_name

ROOT = Path(__file__).parents[1]
BLOCKS, HIDDEN, FEED_FORWARD, RANK, ROUNDS = 10, 4096, 11008, 51, 7
MODULES = {
    "attn_q": (HIDDEN, HIDDEN),
    "attn_k": (HIDDEN, HIDDEN),
    "attn_v": (HIDDEN, HIDDEN),
    "attn_output": (HIDDEN, HIDDEN),
    "ffn_gate": (FEED_FORWARD, HIDDEN),
    "ffn_up": (FEED_FORWARD, HIDDEN),
    "ffn_down": (HIDDEN, FEED_FORWARD),
}
IMAGE = "application/vnd.ollama.image"
MEGA = 1e6


@dataclass
class Measured:
    """What one way took: seconds, bytes that it says it moved, bytes by which the store grew on disk."""

    seconds: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    grown: list[int] = field(default_factory=list)


def sparse_base(path: Path) -> None:
    """Write a model of 4 GB that is a header and a hole."""
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in {"block_count": BLOCKS, "embedding_length": HIDDEN, "attention.head_count": 32}.items():
        writer.add_uint32(f"llama.{key}", value)
    size = 0
    for block in range(BLOCKS):
        for module, shape in MODULES.items():
            nbytes = shape[0] * shape[1] * 2
            writer.add_tensor_info(f"blk.{block}.{module}.weight", shape, np.dtype(np.float16), nbytes)
            size += nbytes
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + size + 4096)


def new_adapter(path: Path) -> LoraFile:
    """Write an adapter of 80 MB that nobody has seen."""
    rng = np.random.default_rng(secrets.randbits(64))
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(RANK))
    for block in range(BLOCKS):
        for module, (out, into) in MODULES.items():
            name = f"blk.{block}.{module}.weight"
            writer.add_tensor(f"{name}.lora_a", rng.random((RANK, into), np.float32).astype(np.float16))
            writer.add_tensor(f"{name}.lora_b", rng.random((out, RANK), np.float32).astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return LoraFile(path, f"sha256:{digest}", path.stat().st_size, "f16")


def add_sparse_base(store: Path) -> int:
    """Put the base into a store under a digest of zeros: nobody reads it through; return its size."""
    blob = store / "blobs" / f"sha256-{'0' * 64}"
    blob.parent.mkdir(parents=True)
    sparse_base(blob)
    config = {"model_format": "gguf", "model_family": "llama", "architecture": "amd64", "os": "linux"}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            **add_blob(store, encode_go_json(config)),
        },
        "layers": [
            {"mediaType": f"{IMAGE}.model", "digest": f"sha256:{'0' * 64}", "size": blob.stat().st_size}
        ],
    }
    path = store / "manifests" / "registry.ollama.ai" / "library" / "sparse" / "latest"
    path.parent.mkdir(parents=True)
    path.write_bytes(encode_go_json(manifest))
    return blob.stat().st_size


def on_disk(store: Path) -> int:
    """Return the bytes that a store takes up; holes take none."""
    return sum(path.lstat().st_blocks * 512 for path in store.rglob("*"))


def run(folder: Path) -> tuple[int, int, str, dict[str, Measured]]:
    """Return sizes of base and adapter, the daemon's version, and what each way took."""
    results = {via: Measured() for via in ("create", "pull", "store")}
    base_size = add_sparse_base(folder / "models")
    base = BaseModel(
        hparams=HParams(arch="llama", blocks=BLOCKS, heads=32, kv_heads=32, head_dim=128, hidden=HIDDEN),
        tag="sparse",
        origin="",
    )
    with real_daemon.running(folder) as daemon:
        with Daemon(daemon.address) as client:
            version = client.version()
        for number in range(ROUNDS + 1):
            for via, measured in results.items():
                adapter = new_adapter(folder / "adapter.gguf")
                package = Package(name=parse_name(f"{via}-{number}"), adapter=adapter, base=base)
                places = OllamaLocations(daemon.address, (daemon.store,))
                before, start = on_disk(daemon.store), time.perf_counter()
                receipt = choose.deliver(package, places, via=via)
                seconds, grown = time.perf_counter() - start, on_disk(daemon.store) - before
                start = time.perf_counter()
                choose.deliver(package, places, via=via)
                if number:  # the first round warms up
                    measured.seconds.append(seconds)
                    measured.again.append(time.perf_counter() - start)
                    measured.moved.append(receipt.bytes_written)
                    measured.grown.append(grown)
                with Daemon(daemon.address) as client:
                    client.delete(package.name.display)
    return base_size, adapter.size, version, results


def table(base: int, adapter: int, version: str, results: dict[str, Measured]) -> str:
    """Return the page."""
    rows = [
        f"| `{via}` | {statistics.median(m.seconds):.2f} | {min(m.seconds):.2f}–{max(m.seconds):.2f} "
        f"| {statistics.median(m.moved) / MEGA:.1f} | {statistics.median(m.grown) / MEGA:.1f} "
        f"| {statistics.median(m.again):.2f} |"
        for via, m in results.items()
    ]
    named = "a build from source" if version == "0.0.0" else f"Ollama {version}"
    return "\n".join(
        [
            "# What delivery moves",
            "",
            f"Made by `make delivery`: an adapter of {adapter / MEGA:.1f} MB registered on a sparse",
            f"base of {base / 1e9:.2f} GB that the daemon has, by each delivery, in turn; median of {ROUNDS}",
            "after a warm-up, with a new adapter each time. Without conversion and the proof of loading.",
            "",
            "| delivery | s | min–max | MB moved | MB the store grew by | s, the same again |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            f"- {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}; {named}",
            f"- {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
            "",
        ]
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        page = table(*run(Path(place)))
    sys.stdout.write(page)
    (ROOT / "bench" / "DELIVERY.md").write_text(page, "utf-8")
