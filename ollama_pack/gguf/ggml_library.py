"""Finds the library of llama.cpp that the extra ``try`` or ``llama`` brings, and never loads it here.

A failed assertion inside llama.cpp ends its process, so it is loaded by processes of its own alone. Both
packages that wrap llama.cpp will do: their libraries have the same functions, which are called by ctypes.
"""

import importlib.util
from pathlib import Path

from ollama_pack.errors import UsageError

PLACES = (
    ("llama_cpp", ("lib/libllama.so", "lib/libllama.dylib", "lib/llama.dll")),
    ("xllamacpp", ("xllamacpp*.so", "xllamacpp*.pyd")),
)
"""Package → where its library may be. The first that is there is used; llama_cpp needs no OpenMP runtime."""


def has_ggml() -> bool:
    """Return whether a library of llama.cpp is installed."""
    return installed_ggml() is not None


def find_ggml() -> Path:
    """Return the library of llama.cpp.

    Raises:
        UsageError: neither package is installed.
    """
    if found := installed_ggml():
        return found
    raise UsageError(
        "This needs llama.cpp, which is not installed.",
        hint="pip install 'ollama-pack[try]'",
        code="extra-missing",
    )


def installed_ggml(*packages: str) -> Path | None:
    """Return llama.cpp's library from the first of the packages (by default, all) that has it, or None."""
    for package, patterns in PLACES:
        if packages and package not in packages:
            continue
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for pattern in patterns:
                if found := sorted(Path(folder).glob(pattern)):
                    return found[0]
    return None


def unusable_ggml(library: Path, why: str) -> UsageError:
    """Return the error for a library of llama.cpp that cannot be loaded, or fails."""
    return UsageError(
        f"llama.cpp cannot be used: {why or 'its process ended'}.",
        where=library,
        hint="pip install -U 'ollama-pack[llama]'; on Linux it is linked with OpenMP's runtime, which is "
        "libgomp1 on Debian and Ubuntu",
        code="extra-unusable",
    )
