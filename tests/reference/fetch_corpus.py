"""Downloads the packages whose chat templates are the corpus of `chat_corpus.py`, and unpacks them.

Usage: python tests/reference/fetch_corpus.py FOLDER (needs pip and npm)
"""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from llama_source import ROOT, fetch_llama_source

WHEELS = ("trl==1.16.0", "unsloth==2026.10.9")
FROM_NPM = "@huggingface/ollama-utils@0.0.18"


def fetch_corpus(folder: Path) -> None:
    """Put the templates of llama.cpp and the three other packages below a folder, if they are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    templates = folder / "llama.cpp"
    if not templates.exists():
        shutil.copytree(fetch_llama_source(ROOT / ".cache") / "models" / "templates", templates)
    archives = folder / "archives"
    archives.mkdir(exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*pip, "-d", str(archives), *WHEELS], check=True, stdout=sys.stderr)
    subprocess.run(["npm", "pack", "--silent", FROM_NPM], cwd=archives, check=True, stdout=sys.stderr)
    for archive in sorted(archives.iterdir()):
        place = folder / archive.stem
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(place)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(place, filter="data")


if __name__ == "__main__":
    fetch_corpus(Path(sys.argv[1]))
