"""The licences of an adapter and its base, as they name themselves, and whether they go together."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ollama_pack.disk.files import read_small

NO_LICENSE = ""

PERMISSIVE = frozenset(
    {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "isc", "unlicense", "afl-3.0"}
)
"""Licences under which a changed copy may have other terms."""

SPDX = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "cc0-1.0": "CC0-1.0",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "isc": "ISC",
    "unlicense": "Unlicense",
    "gpl-3.0": "GPL-3.0-only",
    "agpl-3.0": "AGPL-3.0-only",
    "lgpl-3.0": "LGPL-3.0-only",
    "mpl-2.0": "MPL-2.0",
    "afl-3.0": "AFL-3.0",
}
"""Hugging Face's names of licences → those of SPDX. What is missing here has no name there."""

_TITLES = (
    (r"apache license\W+version 2\.0", "apache-2.0"),
    (r"mit license", "mit"),
    (r"llama 2 community license", "llama2"),
    (r"llama 3\.1 community license", "llama3.1"),
    (r"llama 3\.2 community license", "llama3.2"),
    (r"llama 3\.3 community license", "llama3.3"),
    (r"llama 3 community license", "llama3"),
    (r"gemma terms of use", "gemma"),
    (r"qwen research license", "qwen-research"),
    (r"mistral ai research license", "mrl"),
)
_LICENSE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,59}")
_FRONT = re.compile(r"\A---\r?\n(.*?)^---", re.DOTALL | re.MULTILINE)
_LICENSE_LINE = re.compile(r"^license:[ \t]*[\"']?([^\s\"'#]+)", re.MULTILINE)


def license_of_card(home: Path) -> str:
    """Return the licence that the model card of an adapter names, or an empty text."""
    try:
        text = read_small(home / "README.md").decode("utf-8", "replace")
    except OSError:
        return NO_LICENSE
    front = _FRONT.match(text)
    found = _LICENSE_LINE.search(front[1]) if front else None
    return license_name(found[1]) if found else NO_LICENSE


def license_of_adapters(homes: Sequence[Path]) -> tuple[str, str]:
    """Return the licence of the adapters of a model, and why they have none in common, or two empty texts."""
    names = sorted({license_of_card(home) for home in homes})
    if len(names) < 2:
        return (names[0] if names else NO_LICENSE), ""
    told = " and ".join(name or "a licence that is not named" for name in names)
    return NO_LICENSE, f"the adapters are under {told}"


def license_name(value: Any) -> str:  # noqa: ANN401 — a value of a header
    """Return a value as the name of a licence, or an empty text if it is none."""
    return value.lower() if isinstance(value, str) and _LICENSE_NAME.fullmatch(value) else NO_LICENSE


def license_of_text(text: str) -> str:
    """Return the name of the licence whose text this is, or an empty text if it is not a known one."""
    start = " ".join(text[:400].lower().split())
    return next((name for title, name in _TITLES if re.search(title, start)), NO_LICENSE)


def license_conflict(adapter: str, base: str) -> str:
    """Return why the licences of an adapter and its base do not go together, or an empty text.

    A base that is not under a permissive licence hands its terms on to every model that is made of it.
    """
    if not base or base in PERMISSIVE or adapter == base:
        return ""
    if not adapter:
        return f"the base is under {base}, whose terms go on with the model; the adapter names no licence"
    return f"the base is under {base}, whose terms go on with the model; the adapter says {adapter}"
