"""The prebuilt builds of llama.cpp that recorded adapters are judged by, and a program that installs them.

``python tests/llama/builds.py FOLDER`` installs each build that is not in FOLDER yet into a directory of its
own, since one environment has room for one version. They are wheels of xllamacpp, which wraps llama-server
and needs nothing else: no compiler, no other package.
"""

import shutil
import subprocess
import sys
from pathlib import Path

VERSIONS = {"b10566": "2026.8.10566", "b11063": "2026.9.11063", "b11549": "2026.10.11549"}
"""Build of llama.cpp → version of xllamacpp, the oldest first; what comes after its month is the build."""

NEAREST = {"b10566": "Ollama 0.33 (b10488)", "b11063": "Ollama 0.34 (b11081)", "b11549": "the newest"}
"""Build of llama.cpp → whose llama.cpp it is nearest to, of all versions of xllamacpp."""

NEWEST = list(VERSIONS)[-1]


def install(version: str, target: Path) -> None:
    """Install a version of xllamacpp into a directory, which appears whole or not at all."""
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--target", partial, f"xllamacpp=={version}"], check=True)
    partial.rename(target)


def main() -> None:
    """Install what is missing."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for build, version in VERSIONS.items():
        if not (folder / build).exists():
            install(version, folder / build)


if __name__ == "__main__":
    main()
