"""Fetches the files of an adapter from the Hugging Face Hub, as the extra ``hub`` of this package.

The library `huggingface_hub` does the work, so cache, tokens and address of the Hub are those of every other
program that uses it. Only files that match a pattern are fetched: no pickles, and no checkpoints or optimizer
states of a training run. See "An adapter may be named on the Hub" in docs/decisions.md.
"""

from collections.abc import Mapping
from pathlib import Path

from ollama_pack.base.hf_cache import cache
from ollama_pack.errors import DestinationError, InputError, UsageError
from ollama_pack.hub.client import SCHEME, HubReference, not_on_the_hub, open_hub, parse_hub_reference
from ollama_pack.shown import reason_of

FETCHED = (
    *("adapter_config.json", "adapter_model.safetensors", "adapter_model-*.safetensors"),
    *("adapter_model.safetensors.index.json", "adapters.safetensors", "chat_template.jinja"),
    *("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "vocab.json", "merges.txt", "Modelfile", "Modelfile.txt", "README.md"),
    *("trainer_state.json", "training_config.json", "config.json"),
)
"""The files that belong to an adapter, by name. A pickle is none of them."""

_NOT_SHOWN = {
    401: "it does not know this token",
    403: "this token may not read it",
    404: "it has no such repository or revision",
}
_BUSY = {
    429: ": too many requests from here; wait some minutes, or set HF_TOKEN",
    503: ": it is out of service; try again later",
}
"""Status → what it means, for answers for which `huggingface_hub` has no error of its own."""

_WEIGHTS = ("adapter_model*.safetensors", "adapters.safetensors")


def _fetched_patterns(reference: HubReference) -> list[str]:
    """Return what is fetched: the adapter's files, and for a folder also those at the top."""
    below = [f"{reference.folder}/{name}" for name in FETCHED] if reference.folder else []
    return [*FETCHED, *below]


def fetch_adapter(text: str, environment: Mapping[str, str]) -> Path:
    """Return the directory on this machine that has the files of an adapter on the Hub; fetch what is new.

    It lies in the cache of ``huggingface_hub``, below the commit that the revision stands for.

    Args:
        text: ``hf://OWNER/NAME[@REVISION][/FOLDER]``.
        environment: the variables of the process; ``HF_ENDPOINT`` and ``HF_TOKEN`` are read here.

    Raises:
        UsageError: there is no such repository, revision or folder, or the extra ``hub`` is not installed.
        InputError: the repository has no adapter weights, or only as a pickle.
        DestinationError: the Hub does not answer.

    Example:
        >>> fetch_adapter("hf://ada/babbage-lora", os.environ)  # doctest: +SKIP
        PosixPath('/home/ada/.cache/huggingface/hub/models--ada--babbage-lora/snapshots/1f…')
    """
    reference = parse_hub_reference(text)
    hub, errors = open_hub(text, environment)
    try:
        snapshot = hub.snapshot_download(
            reference.repository,
            revision=reference.revision or None,
            allow_patterns=_fetched_patterns(reference),
            cache_dir=cache(environment),
        )
    except errors.GatedRepoError as error:
        raise not_on_the_hub(text, "The repository is gated: its owner decides who may read it.") from error
    except errors.RepositoryNotFoundError as error:
        raise not_on_the_hub(text, "There is no such repository, or it is private.") from error
    except errors.RevisionNotFoundError as error:
        raise not_on_the_hub(text, f"The repository has no revision {reference.revision}.") from error
    except (OSError, ValueError, errors.HTTPError) as error:
        raise _not_fetched(text, error) from error
    directory = Path(snapshot, reference.folder)
    if reference.folder and not directory.is_dir():
        raise not_on_the_hub(text, f"There are no files of an adapter in the folder {reference.folder}.")
    if not any(map(list, map(directory.glob, _WEIGHTS))):
        raise InputError(
            "There are no adapter weights as safetensors here. A pickle is not fetched.",
            where=text,
            hint=f"hf download {reference.repository} --local-dir DIR  fetches the whole repository;\n       "
            f"an adapter in a folder of it is named {SCHEME}{reference.repository}/FOLDER",
            code="no-weights",
        )
    return directory


def _not_fetched(text: str, error: Exception) -> DestinationError | UsageError:
    """Return the error for an adapter that is not in the cache and that the Hub does not send.

    If the error says that the cache has no such file, its cause is the error with the answer of the Hub.
    """
    from huggingface_hub import constants, errors

    is_local = isinstance(error, errors.LocalEntryNotFoundError)
    cause = error.__cause__ if is_local else error
    status = getattr(getattr(cause, "response", None), "status_code", 0)
    if constants.HF_HUB_OFFLINE:
        return DestinationError(
            "HF_HUB_OFFLINE forbids requests, and the adapter is not in the cache of this machine.",
            where=text,
            hint="unset HF_HUB_OFFLINE",
            code="no-network",
        )
    if status in _NOT_SHOWN:
        return not_on_the_hub(text, f"The Hub does not show the adapter: {_NOT_SHOWN[status]} ({status}).")
    if status:
        what = f"The Hub answers with an error ({status}){_BUSY.get(status, '')}."
    elif is_local:
        what = "The Hub cannot be reached, and the adapter is not in the cache of this machine."
    else:
        what = f"The Hub does not send the adapter: {reason_of(error)}."
    return DestinationError(what, where=text, code="no-network")
