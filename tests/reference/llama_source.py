"""Fetch the llama.cpp source tree that comes with llama-cpp-python; its converters are in it.

Also a program: ``python llama_source.py CACHE`` prints where the tree lies. The version is the one
that gives whole logits, so the converter that made a base and the runtime that loads it are of one kind.
"""

import re
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGE = "llama-cpp-python"


def pinned_version() -> str:
    """Return the version of llama-cpp-python that pyproject.toml pins for `make logits`."""
    found = re.search(rf'"{PACKAGE}==([^"]+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    assert found is not None, "pyproject.toml pins the version in the group `logits`"
    return found[1]


def fetch_llama_source(cache: Path) -> Path:
    """Return the llama.cpp tree in a cache directory; download and unpack it if it is not there."""
    version = pinned_version()
    tree = cache / f"{PACKAGE.replace('-', '_')}-{version}" / "vendor" / "llama.cpp"
    if not (tree / "convert_lora_to_gguf.py").exists():
        cache.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", PACKAGE]
        subprocess.run([*pip, "-d", str(cache), f"{PACKAGE}=={version}"], check=True, stdout=sys.stderr)
        (archive,) = cache.glob(f"*{version}.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(cache, filter="data")
    return tree


if __name__ == "__main__":
    sys.stdout.write(f"{fetch_llama_source(Path(sys.argv[1]))}\n")
