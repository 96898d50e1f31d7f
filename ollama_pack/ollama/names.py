"""Parses, checks and prints the names of Ollama models.

A name is ``[host/][namespace/]model[:tag]``. The defaults are ``registry.ollama.ai``, ``library`` and
``latest``. Ollama keeps the case of a name, but ignores it when it compares names. The grammar is that of
Ollama's ``types/model/name.go``; the reserved tags are those of ``internal/modelref``.
"""

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from ollama_pack.errors import InputError, UsageError, bullet_list

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"
LONGEST_HOST = 350
LONGEST_PART = 80
FALLBACK_MODEL = "adapter"
_MOST_PARTS = len(("host", "namespace", "model:tag"))
_EXTRA_CHARACTERS = {"host": "-_.:", "namespace": "-_", "model": "-_.", "tag": "-_."}


@dataclass(frozen=True, slots=True)
class ModelName:
    """The full name of a model. Every instance is a name that Ollama accepts.

    Attributes:
        host: the host of the registry, with its port.
        namespace: the user or organisation that published the model.
        model: the name of the model without namespace and tag.
        tag: the tag, which names a variant of the model.

    Raises:
        InputError: Ollama would reject a part, or the tag is reserved for Ollama's cloud.
    """

    host: str
    namespace: str
    model: str
    tag: str

    def __post_init__(self) -> None:
        parts = {"host": self.host, "namespace": self.namespace, "model": self.model, "tag": self.tag}
        problems = [why for kind, text in parts.items() if (why := _why_illegal(kind, text))]
        if problems:
            raise InputError(
                bullet_list("Ollama does not accept this model name.", problems), code="bad-name"
            )

    def __str__(self) -> str:
        """Return the shortest text that parses to this name; it leaves out ``:latest``."""
        tag = "" if self.tag == DEFAULT_TAG else f":{self.tag}"
        if self.host != DEFAULT_HOST:
            return f"{self.host}/{self.namespace}/{self.model}{tag}"
        if self.namespace != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{self.model}{tag}"
        return f"{self.model}{tag}"

    @property
    def display(self) -> str:
        """Return the name as the daemon prints it: with its tag, but without a default host or namespace."""
        tail = f"{self.model}:{self.tag}"
        if self.host.lower() != DEFAULT_HOST:
            return f"{self.host}/{self.namespace}/{tail}"
        if self.namespace.lower() != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{tail}"
        return tail

    @property
    def parts(self) -> tuple[str, str, str, str]:
        """Return the host, the namespace, the model and the tag."""
        return self.host, self.namespace, self.model, self.tag

    def same_as(self, other: "ModelName") -> bool:
        """Return whether Ollama treats both names as the same model, because it ignores case."""
        return [ascii_lower(part) for part in self.parts] == [ascii_lower(part) for part in other.parts]


def ascii_lower(text: str) -> str:
    """Return `text` with A to Z in lower case and nothing else changed.

    ``str.lower`` turns other characters into letters of ASCII, such as the sign for kelvin into a ``k``: a
    name that Ollama does not know would then stand for one that it has.
    """
    return text.translate(_ASCII_LOWER)


_ASCII_LOWER = {capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)}


def typed_name(text: str) -> ModelName:
    """Return the name of a model that a user typed; unlike one in a file, a wrong one is wrong usage.

    Raises:
        UsageError: Ollama would refuse the name.
    """
    try:
        return parse_name(text)
    except InputError as error:
        raise UsageError(error.what, hint=error.hint, code=error.code) from error


def parse_name(text: str) -> ModelName:
    """Return the model name that `text` means, with Ollama's defaults for missing parts.

    Like the daemon, this accepts and drops a scheme (``https://host/…``).

    Raises:
        InputError: Ollama would reject the name, or would look for the model in its cloud. The error says
            which part is wrong and why, and suggests a valid name.
    """
    parts = _split_name(text)
    problems = [why for kind, part in parts.items() if (why := _why_illegal(kind, part))]
    if problems:
        raise InputError(
            bullet_list(f"Ollama does not accept the model name {text!r}.", problems),
            hint=f"the name {_valid_name(parts)}",
            code="bad-name",
        )
    return ModelName(**parts)


def require_no_path(text: str, where: str = "directory") -> None:
    """Require of a word, a directory or the name of a model, that it is there if only a path is so written.

    A path is absolute, begins with ``./``, ``../`` or ``~``, ends with a slash, or has too many parts.

    Args:
        text: the word, as it was typed.
        where: what may be there, for the message.

    Raises:
        UsageError: it is a path, and nothing is there.
    """
    slashes = text.replace("\\", "/") if os.name == "nt" else text
    parts = re.sub(r"^https?:/+", "", slashes).split("/")  # a Path has one slash there
    starts = parts[0] in ("", ".", "..") or slashes.startswith("~") or Path(text).is_absolute()
    if text and (starts or not parts[-1] or len(parts) > _MOST_PARTS) and not os.path.lexists(text):
        raise UsageError(f"There is no {where} {text}.", code="no-such-directory")


def _split_name(text: str) -> dict[str, str]:
    """Return the four parts of `text`, valid or not; a part is empty if there is a separator but no text."""
    rest, tag = text, DEFAULT_TAG
    if text.rfind(":") > text.rfind("/"):
        rest, _, tag = text.rpartition(":")
    host, namespace = DEFAULT_HOST, DEFAULT_NAMESPACE
    rest, slash, model = rest.rpartition("/")
    if slash:
        rest, slash, namespace = rest.rpartition("/")
        if slash:
            scheme, separator, after = rest.partition("://")
            host = (after or DEFAULT_HOST) if separator else scheme
    return {"host": host, "namespace": namespace, "model": model, "tag": tag}


def _why_illegal(kind: str, part: str) -> str:
    """Return why Ollama rejects `part`, or an empty string if it accepts it."""
    longest = LONGEST_HOST if kind == "host" else LONGEST_PART
    if not part:
        return f"The {kind} is missing."
    if not _is_letter(part[0]):
        return f"The {kind} {part!r} must start with a letter, a digit or '_' (A-Z, a-z, 0-9)."
    invalid = sorted({c for c in part if not _is_letter(c) and c not in _EXTRA_CHARACTERS[kind]})
    if invalid:
        reason = f"The {kind} {part!r} contains {', '.join(map(repr, invalid))}"
        registry = kind == "namespace" and set(invalid) <= set(".:")
        return f"{reason}; a name with a registry is HOST/NAMESPACE/MODEL." if registry else f"{reason}."
    if len(part) > longest:
        return f"The {kind} has {len(part)} characters; Ollama accepts at most {longest}."
    if kind == "tag" and is_cloud_tag(part):
        return (
            f"The tag {part!r} is reserved: Ollama uses 'local', 'cloud' and '…-cloud' for its cloud models."
        )
    return ""


def _is_letter(character: str) -> bool:
    """Return whether a character may start a part of a name."""
    return character == "_" or (character.isascii() and character.isalnum())


def is_cloud_tag(tag: str) -> bool:
    """Return whether Ollama reserves a tag for models that run in its cloud."""
    lowered = tag.lower()
    return lowered in ("cloud", "local") or lowered.endswith("-cloud")


def _valid_name(parts: dict[str, str]) -> ModelName:
    """Return a valid name close to `parts`."""
    host, namespace = parts["host"], parts["namespace"]
    if host == DEFAULT_HOST and re.search(r"[.:]", namespace) and not _why_illegal("host", namespace):
        host, namespace = namespace, DEFAULT_NAMESPACE
    tag = legal_part("tag", parts["tag"])
    while is_cloud_tag(tag):
        tag = tag[: -len("-cloud")] if tag.lower().endswith("-cloud") else DEFAULT_TAG
        tag = legal_part("tag", tag)
    return ModelName(
        host=legal_part("host", host) or DEFAULT_HOST,
        namespace=legal_part("namespace", namespace) or DEFAULT_NAMESPACE,
        model=legal_part("model", parts["model"]) or FALLBACK_MODEL,
        tag=tag or DEFAULT_TAG,
    )


def legal_part(kind: str, part: str) -> str:
    """Return `part` with every invalid character replaced by '-'; the result may be empty."""
    plain = unicodedata.normalize("NFKD", part)
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    allowed = re.escape(_EXTRA_CHARACTERS[kind])
    plain = re.sub(rf"[^A-Za-z0-9{allowed}]+", "-", plain)
    plain = plain[: LONGEST_HOST if kind == "host" else LONGEST_PART]
    return plain.lstrip("-.:").rstrip("-.:")
