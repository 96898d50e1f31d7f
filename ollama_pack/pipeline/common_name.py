"""Names that many directories give, which must not replace another model unasked."""

import re
from collections.abc import Mapping

from ollama_pack.errors import DestinationError, RefusedError
from ollama_pack.ollama.choose_models import models_at
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.models import find_model
from ollama_pack.ollama.names import FALLBACK_MODEL, ModelName
from ollama_pack.pipeline.request import Request

COMMON_NAMES = frozenset(
    {
        *(
            "adapter",
            "adapters",
            "adapter_model",
            "lora",
            "lora_model",
            "lora-model",
            "qlora",
            "loras",
            "peft",
        ),
        *("output", "outputs", "out", "result", "results", "model", "models", "release", "saves", "save"),
        *("checkpoint", "checkpoints", "final", "final_model", "final-model", "last", "latest", "best"),
        *("train", "training", "trainer_output", "tmp_trainer", "run", "sft", "dpo", "default", "test"),
        FALLBACK_MODEL,
    }
)
"""Names that notebooks and trainers give to their directories, without saying what was trained."""

_GIVEN_BY_A_PROGRAM = re.compile(r"[0-9a-f]{40}|checkpoint-[0-9]+")


def is_common(name: ModelName) -> bool:
    """Return whether a name is one that many directories give, such as ``lora_model`` or a revision."""
    return name.model in COMMON_NAMES or _GIVEN_BY_A_PROGRAM.fullmatch(name.model) is not None


def require_free_name(
    request: Request, name: ModelName, locations: OllamaLocations, earlier: Mapping[str, object]
) -> None:
    """Require that a name which the directory gave does not replace a model of another directory.

    A name that the user gave is the user's choice, and one that says what was trained replaces its model.

    Args:
        request: what the user asks for.
        name: the name that the model would have.
        locations: the daemon's address, and the stores on this machine.
        earlier: the lock of the last build of this adapter, which has the digest of its model.

    Raises:
        RefusedError: another model has the name.
    """
    if request.name or request.via == "folder" or not is_common(name):
        return
    if request.via == "store":  # whether or not a daemon answers, the model goes into a store
        locations = locations._replace(named=True)
    try:
        with models_at(locations, name) as models:
            entry = find_model(models, name)
            place = models.place
    except DestinationError:  # the delivery reports it
        return
    if entry is None or earlier.get("manifest") == f"sha256:{entry.digest}":
        return
    raise RefusedError(
        f"There is another model named {name} already, and this one is named so only after its directory.",
        where=place,
        hint=f"--name NAME, with a name for this model; --name {name}  replaces the other one",
        code="common-name",
    )
