"""Variables that name tools and files for tests: nothing else would notice that one is misspelled."""

import difflib
from collections.abc import Mapping

PREFIX = "OLLAMA_PACK_TEST_"
TOOLS = {
    "ACT",
    "ACTIONLINT",
    "ACTIONS",
    "BASE",
    "GEMMA",
    "GITLAB",
    "KIT",
    "LLAMA",
    "MODCTL",
    "OLLAMA",
    "ORAS",
    "PEFT",
    "REGISTRY",
    "SARIF",
    "ZOT",
}
"""What follows the prefix in the names of variables that tests read."""


def misspelled(environment: Mapping[str, str]) -> str:
    """Return what to say of a variable that no test reads; empty if there is none."""
    known = [f"{PREFIX}{name}" for name in sorted(TOOLS)]
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            (close,) = difflib.get_close_matches(name, known, 1, 0)
            return f"No test reads {name}. Did you mean {close}?"
    return ""
