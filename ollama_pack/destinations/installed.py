"""An installed model as the base proof sees it: through the daemon, or from its header in a store."""

import contextlib
from dataclasses import dataclass

from ollama_pack.agreement import Seen
from ollama_pack.destinations.history import find, no_model
from ollama_pack.destinations.models import models_at
from ollama_pack.destinations.places import Places
from ollama_pack.errors import DestinationError
from ollama_pack.names import ModelName


@dataclass(frozen=True, slots=True)
class Installed:
    """A model that is there.

    Attributes:
        seen: its base.
        digest: of its manifest, 64 hexadecimal digits.
        blob: ``sha256:…`` of its weights, empty where it is not told.
        place: the daemon's address, or the store.
        has_adapter: whether it has an adapter of its own.
    """

    seen: Seen
    digest: str
    blob: str
    place: str
    has_adapter: bool


def look_up(places: Places, name: ModelName) -> Installed:
    """Return a model of the daemon; of a store where no daemon answers.

    Raises:
        InputError: there is no such model, or its file is damaged.
        DestinationError: there is neither a daemon nor a store, or the model is damaged.
    """
    with models_at(places, name) as models:
        entry = find(models, name)
        if entry is None:
            raise no_model(models, name)
        blob = models.base_blob(entry.name)
        seen = models.see(entry.name)
        return Installed(seen, entry.digest, blob, models.place, models.has_adapter(entry.name))


def installed_names(places: Places) -> list[ModelName]:
    """Return the models that are there, none where there is neither a daemon nor a store."""
    with contextlib.suppress(DestinationError), models_at(places, ModelName("x", "x", "x", "x")) as models:
        return [entry.name for entry in models.entries()]
    return []
