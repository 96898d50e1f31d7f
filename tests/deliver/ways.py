"""The deliveries under test, and whom they lead to."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from characters import CHARACTERS

from ollama_pack.deliver import choose
from ollama_pack.deliver.package import DeliveryPlan, Package, Receipt
from ollama_pack.disk.files import Progress
from ollama_pack.ollama.locations import OllamaLocations

NOBODY = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Way:
    """A destination under test: how to put, how to plan, and the store it ends in."""

    put: Callable[..., Receipt]
    plan: Callable[..., DeliveryPlan]
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
"""Every delivery, and whom it leads to: the stand-in in all its characters, a bare store, a real daemon."""


def live(whom: str, *others: str) -> Any:
    """Return the parameters of a test, marked where a real daemon is needed."""
    marks = [pytest.mark.live] if whom == "real daemon" else []
    return pytest.param((*others, whom), marks=marks, id=", ".join((*others, whom)))


def way_to(via: str, places: OllamaLocations, store: Path) -> Way:
    """Return one delivery."""

    def put(package: Package, progress: Progress | None = None) -> Receipt:
        return choose.deliver(package, places, via=via, progress=progress)

    return Way(put, partial(choose.plan_delivery, locations=places, via=via), store)
