"""Fetch GCC's OpenMP runtime where the system has none: prebuilt builds of llama.cpp are linked with it.

Machines without a compiler often lack it (Debian's libgomp1), and it is no package on PyPI. scikit-learn's
wheel carries it, so that is downloaded with pip and only the runtime is kept, in a folder for
LD_LIBRARY_PATH. Where the system has it, or needs none, the folder stays empty.
"""

import ctypes
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "scikit-learn"
LIBRARY = "libgomp.so.1"
"""The name under which builds of llama.cpp ask for the runtime."""


def main() -> None:
    """Put the runtime into the folder that the only argument names, if it is needed."""
    if len(sys.argv) != 2:
        sys.exit("usage: fetch_openmp.py FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if not sys.platform.startswith("linux") or is_loadable(LIBRARY) or (folder / LIBRARY).exists():
        return
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        print(f"This system has no {LIBRARY}: taking that of {PACKAGE} (9 MB), once.")
        download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*download, "-d", scratch, PACKAGE], check=True)
        keep_runtime(next(Path(scratch).glob("*.whl")), folder)


def is_loadable(library: str) -> bool:
    """Return whether the dynamic linker finds a library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def keep_runtime(wheel: Path, folder: Path) -> None:
    """Put a wheel's runtime, whose name there has a digest in it, into a folder under its own name."""
    stem = LIBRARY.partition(".")[0]
    with zipfile.ZipFile(wheel) as archive:
        found = [name for name in archive.namelist() if Path(name).name.startswith(f"{stem}-")]
        if len(found) != 1:
            sys.exit(f"{wheel.name} has no {LIBRARY}; install it: on Debian and Ubuntu, apt install libgomp1")
        Path(archive.extract(found[0], wheel.parent)).replace(folder / LIBRARY)


if __name__ == "__main__":
    main()
