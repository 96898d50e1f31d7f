"""The peer: llama.cpp's convert_lora_to_gguf.py, with an environment of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def llama_source(cache: Path) -> Path:
    """Return the llama.cpp tree of the llama-cpp-python the tests pin, fetched once into the cache.

    Raises:
        subprocess.CalledProcessError: it cannot be fetched.
    """
    program = ROOT / "tests" / "reference" / "llama_source.py"
    told = subprocess.run(
        [sys.executable, program, cache / "sdist"], check=True, stdout=subprocess.PIPE, text=True
    )
    return Path(told.stdout.strip())


def peer_python(cache: Path) -> Path:
    """Return a Python with what the converter imports, made once.

    These are the versions the references were recorded with: llama.cpp's own requirements ask for an
    index of torch beside PyPI, which not every machine reaches.

    Raises:
        subprocess.CalledProcessError: the environment cannot be made.
    """
    home = cache / "peer"
    if not (home / "made").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        wanted = ROOT / "tests" / "reference" / "requirements.txt"
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "-q"]
        subprocess.run([*pip, "-r", str(wanted)], check=True)
        (home / "made").touch()
    return home / "bin" / "python"


def versions(python: Path) -> str:
    """Return the versions of torch and transformers a Python has, in words."""
    code = "from importlib.metadata import version as v; print(*map(v, ('torch', 'transformers')))"
    told = subprocess.run([python, "-c", code], check=False, capture_output=True, text=True)
    torch, _, transformers = told.stdout.strip().partition(" ")
    return f"torch {torch or '?'}, transformers {transformers or '?'}"
