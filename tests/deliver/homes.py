"""Where models can be kept: stores in both layouts, and daemons."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ollama_pack.deliver import choose, history
from ollama_pack.deliver.package import Package, Receipt
from ollama_pack.ollama.choose_models import models_at
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.models import ModelRepository, find_model
from ollama_pack.ollama.names import ModelName


@dataclass(frozen=True)
class Home:
    """Where models are: how one gets there, how they are looked at, and the store they lie in."""

    places: OllamaLocations
    store: Path

    def put(self, package: Package) -> Receipt:
        """Put a package there."""
        return choose.deliver(package, self.places)

    @contextmanager
    def models(self, name: ModelName) -> Iterator[ModelRepository]:
        """Look at what is there."""
        with models_at(self.places, name) as models:
            yield models

    def versions(self, name: ModelName) -> list[str]:
        """Return the digests of the earlier versions."""
        with self.models(name) as models:
            return [entry.digest for entry in history.versions(models, name)]

    def current(self, name: ModelName) -> str:
        """Return the digest of the model."""
        with self.models(name) as models:
            found = find_model(models, name)
        return found.digest if found else ""

    def all(self, name: ModelName) -> set[str]:
        """Return every name that there is of this model."""
        with self.models(name) as models:
            return {str(entry.name) for entry in models.entries() if entry.name.model == name.model}


def speaks(package: Package, words: str) -> Package:
    """Return another model of the same name."""
    return replace(package, system=words)
