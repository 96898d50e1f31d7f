"""The client of the Hugging Face Hub, and the places there that users name.

The library `huggingface_hub` does the work, so cache, tokens and address of the Hub are those of every other
program that uses it.
"""

import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ollama_pack.errors import UsageError
from ollama_pack.http.environment import check_address, read_token

SCHEME = "hf://"
PUBLIC_HUB = "https://huggingface.co"

_REFERENCE = re.compile(
    r"hf://([A-Za-z0-9][\w.-]*/\w[\w.-]*)(?:@(\w[\w.%-]*))?(?:/((?:[\w-][\w.-]*/)*[\w-][\w.-]*))?/?", re.ASCII
)
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

    def __str__(self) -> str:
        revision = self.revision.replace("/", "%2F")
        parts = (f"@{revision}" if revision else "", f"/{self.folder}" if self.folder else "")
        return "".join((SCHEME, self.repository, *parts))


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


def open_hub(text: str, environment: Mapping[str, str]) -> tuple[Any, Any]:
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


def not_on_the_hub(text: str, what: str) -> UsageError:
    """Return the error for what the Hub does not show to this user."""
    return UsageError(
        what,
        where=text,
        hint="check the name; for a private or gated repository, set HF_TOKEN or run hf auth login",
        code="no-such-directory",
    )
