"""The daemons that users have, one of each generation: what differs between them, and no more."""

from dataclasses import dataclass


class DiedError(Exception):
    """The daemon is no more."""


@dataclass(frozen=True)
class Character:
    """One generation of Ollama.

    Attributes:
        version: what ``/api/version`` says.
        creates: whether ``/api/create`` takes adapters.
        newer: whether its store has ``manifests-v2``.
        cannot_load: what it says of a model with an adapter whose base is of one of these architectures.
        architectures: which it cannot load with an adapter.
    """

    version: str
    creates: bool
    newer: bool = False
    cannot_load: str = ""
    architectures: tuple[str, ...] = ()


CHARACTERS = {
    "0.12": Character(
        "0.12.10",
        creates=True,
        cannot_load="loras are not yet implemented",
        architectures=("gemma3", "mistral3", "qwen3", "gptoss"),
    ),
    "0.33": Character("0.33.0", creates=True),
    "0.34.1": Character("0.34.1", creates=False),
    "0.40": Character(
        "0.40.2",
        creates=False,
        newer=True,
        cannot_load="cannot convert legacy GGUF with application/vnd.ollama.image.adapter layer; "
        "re-pull a compatible model",
        architectures=("gemma3", "gptoss"),
    ),
}
