"""Measure ollama-pack against llama.cpp's converter, and against what the disk allows.

``make bench`` runs this. Whole processes, in turn, medians with the smallest and the largest; the
table is printed and written to bench/RESULTS.md. Ours includes the SHA-256 of the file, the proof
of every number, and bringing the file to disk (fsync); the others' include none of these.
"""

import argparse
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from measure import Command, Series, measure
from peer import ROOT, llama_source, peer_python, versions
from report import claims, markdown

BASE_ID = "meta-llama/Llama-2-7b-hf"


def program() -> list[str]:
    """Return the command that users type: the installed one, or the module where none is installed."""
    installed = Path(sys.executable).parent / "ollama-pack"
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "ollama_pack"]


def ours(folder: Path, size: str, base: str = BASE_ID) -> Command:
    """Return the conversion of an adapter by ollama-pack."""
    out = folder / f"{size}.gguf"
    words = [*program(), "convert", str(folder / size), "--base", base]
    return Command(f"ollama-pack {size}", [*words, "--out", str(out), "--quiet"], forget(out))


def peers(folder: Path, size: str, python: Path, tree: Path) -> Command:
    """Return the conversion of an adapter by llama.cpp."""
    out = folder / f"peer-{size}.gguf"
    words = [str(python), str(tree / "convert_lora_to_gguf.py"), "--outtype", "f16"]
    words += ["--base", str(folder / "base"), "--outfile", str(out), str(folder / size)]
    return Command(f"llama.cpp {size}", words, forget(out))


def forget(path: Path) -> Callable[[], None]:
    """Return what removes a file, so that every run writes a new one."""
    return lambda: path.unlink(missing_ok=True)


def floor(folder: Path) -> list[Command]:
    """Return copying and hashing the converted file: what no converter could do without."""
    out, copy = folder / "big.gguf", folder / "copy.gguf"
    return [
        Command("cp", ["sh", "-c", f"cp '{out}' '{copy}'"], forget(copy)),
        Command("sha256sum", ["sh", "-c", f"sha256sum '{out}'"]),
    ]


def starts() -> list[Command]:
    """Return how long it takes to say hello."""
    return [
        Command("ollama-pack --help", [*program(), "--help"]),
        Command("import click", [sys.executable, "-c", "import click"]),
    ]


def commands(folder: Path, python: Path | None, tree: Path | None) -> list[Command]:
    """Return everything that is measured, in the order of a round."""
    listed = [ours(folder, "big"), *floor(folder), ours(folder, "small")]
    listed += [ours(folder, "experts", str(folder / "mixture")), *starts()]
    if python is not None and tree is not None:
        listed += [peers(folder, size, python, tree) for size in ("big", "small")]
    return listed


def machine(load: tuple[float, float, float], peer: str) -> list[str]:
    """Return what the figures depend on, without a name or a path of this machine."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = [line for line in cpuinfo.read_text("utf-8").splitlines() if line.startswith("model name")]
        model = found[0].partition(":")[2].strip() if found else model
    before, after = load[0], os.getloadavg()[0]
    now = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"
    return [
        f"{os.cpu_count()} cores, {model}, {platform.system()}",
        f"Python {platform.python_version()}, numpy {importlib.metadata.version('numpy')}; peer: {peer}",
        f"load average {before:.1f} before, {after:.1f} after; {now}",
    ]


def find_peer(arguments: argparse.Namespace) -> tuple[Path | None, Path | None, str]:
    """Return the peer's Python and tree, or None and why there is none."""
    try:
        tree = arguments.llama_cpp or llama_source(arguments.cache)
        python = arguments.peer_python or peer_python(arguments.cache)
    except (subprocess.CalledProcessError, OSError) as error:
        return None, None, f"none, its environment could not be made ({type(error).__name__})"
    return python, tree, versions(python)


def main() -> None:
    """Measure, print, and write RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="counted runs of each command")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "bench")
    parser.add_argument("--peer-python", type=Path, help="a Python with torch and transformers")
    parser.add_argument("--llama-cpp", type=Path, help="a llama.cpp source tree")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "RESULTS.md")
    arguments = parser.parse_args()
    folder: Path = arguments.cache / "work"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, ROOT / "bench" / "adapters.py", folder], check=True)
    python, tree, peer = find_peer(arguments)
    load = os.getloadavg()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody compiles a program each time it runs
    series = measure(commands(folder, python, tree), arguments.rounds, folder, environment)
    text = markdown(series, claims(series), machine(load, peer), arguments.rounds)
    print(text)
    arguments.out.write_text(text, "utf-8")
    for path in folder.glob("*.gguf"):
        path.unlink()
    mine: list[Series] = [found for name, found in series.items() if name.startswith("ollama-pack")]
    if any(found.failure for found in mine):
        sys.exit("ollama-pack itself failed; see the table")


if __name__ == "__main__":
    main()
