"""The ways in under test, and whom they lead to."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from characters import CHARACTERS

from ollama_pack.destinations import choose
from ollama_pack.destinations.package import Package, Plan
from ollama_pack.destinations.places import Places
from ollama_pack.parts import Progress, Receipt

NOBODY = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Way:
    """A destination under test: how to put, how to plan, and the store it ends in."""

    put: Callable[..., Receipt]
    plan: Callable[..., Plan]
    store: Path


WAYS = [
    ("store", "older layout"),
    ("store", "newer layout"),
    ("store", "real daemon"),
    *(("create", f"fake {name}") for name, character in CHARACTERS.items() if character.creates),
    ("create", "real daemon"),
    *(("pull", f"fake {name}") for name in CHARACTERS),
    ("pull", "real daemon"),
    *(("auto", f"fake {name}") for name in CHARACTERS),
    ("auto", "real daemon"),
]
"""Every way in, and whom it leads to: the stand-in in all its characters, a bare store, a real daemon."""


def live(whom: str, *others: str) -> Any:
    """Return the parameters of a test, marked where a real daemon is needed."""
    marks = [pytest.mark.live] if whom == "real daemon" else []
    return pytest.param((*others, whom), marks=marks, id=", ".join((*others, whom)))


def way_to(via: str, places: Places, store: Path) -> Way:
    """Return one way in."""

    def put(package: Package, progress: Progress | None = None) -> Receipt:
        return choose.put(package, places, via=via, progress=progress)

    return Way(put, partial(choose.plan, places=places, via=via), store)
