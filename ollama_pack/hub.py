"""Fetches the files of an adapter from the Hugging Face Hub, as the extra ``hub`` of this package.

The library `huggingface_hub` does the work: its cache, its tokens and its addresses are those that every
program with it has. What is asked for is named by pattern, so that no pickle and nothing that a training run
leaves is fetched. See "An adapter may be named on the Hub" in docs/decisions.md.
"""

import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_pack.base.hf_cache import cache
from ollama_pack.environment import check_address, read_token
from ollama_pack.errors import DestinationError, InputError, UsageError
from ollama_pack.shown import reason_of

SCHEME = "hf://"
PUBLIC_HUB = "https://huggingface.co"

FETCHED = (
    *("adapter_config.json", "adapter_model.safetensors", "adapter_model-*.safetensors"),
    *("adapter_model.safetensors.index.json", "adapters.safetensors", "chat_template.jinja"),
    *("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "vocab.json", "merges.txt", "Modelfile", "Modelfile.txt", "README.md"),
    *("trainer_state.json", "training_config.json", "config.json"),
)
"""The files that belong to an adapter, by name. A pickle is none of them."""

_REFERENCE = re.compile(
    r"hf://([A-Za-z0-9][\w.-]*/\w[\w.-]*)(?:@(\w[\w.%-]*))?(?:/((?:[\w-][\w.-]*/)*[\w-][\w.-]*))?/?", re.ASCII
)
_WEIGHTS = ("adapter_model*.safetensors", "adapters.safetensors")
_INSTALL = "pip install 'ollama-pack[hub]'"


@dataclass(frozen=True, slots=True)
class HubReference:
    """The place of an adapter on the Hub.

    Attributes:
        repository: the id of the repository, ``owner/name``.
        revision: a branch, a tag or a commit; empty for the main branch.
        folder: the directory in it that holds the adapter; empty for its top.
    """

    repository: str
    revision: str = ""
    folder: str = ""

    @property
    def patterns(self) -> list[str]:
        """Return what is fetched: the adapter's files, and for a folder also those at the top."""
        below = [f"{self.folder}/{name}" for name in FETCHED] if self.folder else []
        return [*FETCHED, *below]


def parse_hub_reference(text: str) -> HubReference:
    """Return what ``hf://OWNER/NAME``, ``…@REVISION`` and ``…@REVISION/FOLDER`` name.

    A revision has no slash here. The revision of a pull request, ``refs/pr/1``, is written ``refs%2Fpr%2F1``.

    Raises:
        UsageError: the text has another form.

    Example:
        >>> parse_hub_reference("hf://ada/babbage-lora@v2/checkpoint-3")
        HubReference(repository='ada/babbage-lora', revision='v2', folder='checkpoint-3')
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise UsageError(
            "This does not name an adapter on the Hub.",
            where=text,
            hint="write hf://OWNER/NAME, hf://OWNER/NAME@REVISION or hf://OWNER/NAME@REVISION/FOLDER",
            code="bad-name",
        )
    return HubReference(match[1], (match[2] or "").replace("%2F", "/"), match[3] or "")


def fetch_adapter(text: str, environment: Mapping[str, str]) -> Path:
    """Return the directory on this machine that has the files of an adapter on the Hub; fetch what is new.

    It lies in the cache of ``huggingface_hub``, below the commit that the revision stands for.

    Args:
        text: ``hf://OWNER/NAME[@REVISION][/FOLDER]``.
        environment: the variables of the process; ``HF_ENDPOINT`` and ``HF_TOKEN`` are read here.

    Raises:
        UsageError: there is no such repository, revision or folder, or the extra ``hub`` is not installed.
        InputError: it has no weights of an adapter, or only as a pickle.
        DestinationError: the Hub does not answer.

    Example:
        >>> fetch_adapter("hf://ada/babbage-lora", os.environ)  # doctest: +SKIP
        PosixPath('/home/ada/.cache/huggingface/hub/models--ada--babbage-lora/snapshots/1f…')
    """
    reference = parse_hub_reference(text)
    hub, errors = _open_hub(text, environment)
    try:
        snapshot = hub.snapshot_download(
            reference.repository,
            revision=reference.revision or None,
            allow_patterns=reference.patterns,
            cache_dir=cache(environment),
        )
    except errors.GatedRepoError as error:
        raise _not_there(text, "The owner of the repository decides who may read it.") from error
    except errors.RepositoryNotFoundError as error:
        raise _not_there(text, "There is no such repository, or it is private.") from error
    except errors.RevisionNotFoundError as error:
        raise _not_there(text, f"The repository has no revision {reference.revision}.") from error
    except errors.LocalEntryNotFoundError as error:
        what = "The Hub cannot be reached, and the adapter is not in the cache of this machine."
        raise DestinationError(what, where=text, code="no-network") from error
    except (OSError, ValueError, errors.HTTPError) as error:
        what = f"The Hub does not send the adapter: {reason_of(error)}."
        raise DestinationError(what, where=text, code="no-network") from error
    directory = Path(snapshot, reference.folder)
    if not any(map(list, map(directory.glob, _WEIGHTS))):
        raise InputError(
            "There are no weights of an adapter as safetensors here. A pickle is not fetched.",
            where=text,
            hint=f"hf download {reference.repository} --local-dir DIR  fetches the whole repository;\n       "
            f"an adapter in a folder of it is named {SCHEME}{reference.repository}/FOLDER",
            code="no-weights",
        )
    return directory


def _open_hub(text: str, environment: Mapping[str, str]) -> tuple[Any, Any]:
    """Return the client of the Hub that the environment names, and the module with its errors.

    Raises:
        UsageError: the extra is not installed, or a variable of the environment is wrong.
    """
    try:
        from huggingface_hub import HfApi, errors
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError as error:
        what = "The library huggingface_hub is not installed."
        raise UsageError(what, where=text, hint=_INSTALL, code="extra-missing") from error
    if not sys.stderr.isatty():
        disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    endpoint = (environment.get("HF_ENDPOINT", "").strip() or PUBLIC_HUB).rstrip("/")
    check_address(endpoint, "HF_ENDPOINT", f"HF_ENDPOINT={PUBLIC_HUB}")
    token = read_token(environment, "HF_TOKEN")
    return HfApi(endpoint=endpoint, token=token or None, library_name="ollama-pack"), errors


def _not_there(text: str, what: str) -> UsageError:
    """Return the error for what the Hub does not show to this user."""
    return UsageError(
        what,
        where=text,
        hint="check the name; for a private or gated repository, set HF_TOKEN or run hf auth login",
        code="no-such-directory",
    )
