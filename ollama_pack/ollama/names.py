"""Model names ↔ text, and the paths a name and a digest have in an Ollama store.

A name is ``[host/][namespace/]model[:tag]``. Ollama fills in ``registry.ollama.ai``, ``library`` and
``latest``, keeps the case it is given and ignores it when it compares. The grammar is the one of Ollama's
``types/model/name.go``; the refused tags are those of ``internal/modelref``.
"""

import re
import unicodedata
from dataclasses import dataclass

from ollama_pack.errors import InputError, bullet_list

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"
LONGEST_HOST = 350
LONGEST_PART = 80
FALLBACK_MODEL = "adapter"
_EXTRA_CHARACTERS = {"host": "-_.:", "namespace": "-_", "model": "-_.", "tag": "-_."}


@dataclass(frozen=True, slots=True)
class ModelName:
    """The full name of a model; every instance is one Ollama accepts.

    Attributes:
        host: the registry, with its port.
        namespace: who published it.
        model: what it is called.
        tag: which variant.

    Raises:
        InputError: a part that Ollama would refuse, or that it reserves for its cloud.
    """

    host: str
    namespace: str
    model: str
    tag: str

    def __post_init__(self) -> None:
        parts = {"host": self.host, "namespace": self.namespace, "model": self.model, "tag": self.tag}
        problems = [why for kind, text in parts.items() if (why := _why_illegal(kind, text))]
        if problems:
            raise InputError(bullet_list("This is not a name Ollama accepts.", problems))

    def __str__(self) -> str:
        """Return the shortest text that parses to this name, without ``:latest``."""
        tag = "" if self.tag == DEFAULT_TAG else f":{self.tag}"
        if self.host != DEFAULT_HOST:
            return f"{self.host}/{self.namespace}/{self.model}{tag}"
        if self.namespace != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{self.model}{tag}"
        return f"{self.model}{tag}"

    @property
    def display(self) -> str:
        """Return the name as the daemon prints it: the tag always, defaults never, whatever their case."""
        tail = f"{self.model}:{self.tag}"
        if self.host.lower() != DEFAULT_HOST:
            return f"{self.host}/{self.namespace}/{tail}"
        if self.namespace.lower() != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{tail}"
        return tail

    @property
    def parts(self) -> tuple[str, str, str, str]:
        """Return host, namespace, model and tag."""
        return self.host, self.namespace, self.model, self.tag

    def same_as(self, other: "ModelName") -> bool:
        """Return whether Ollama takes both for the same model: it does not look at case."""
        return [part.lower() for part in self.parts] == [part.lower() for part in other.parts]


def parse_name(text: str) -> ModelName:
    """Return the name `text` means, with Ollama's defaults filled in.

    A scheme (``https://host/…``) is accepted and dropped, as the daemon does.

    Raises:
        InputError: Ollama would refuse the name, or would look for it in its cloud; names the part, says
            why, and suggests a legal name.
    """
    parts = _split_name(text)
    problems = [why for kind, part in parts.items() if (why := _why_illegal(kind, part))]
    if problems:
        raise InputError(
            bullet_list(f"Ollama does not accept {text!r} as a model's name.", problems),
            hint=f"the name {_legal(parts)}",
        )
    return ModelName(**parts)


def _split_name(text: str) -> dict[str, str]:
    """Return the four parts of `text`, legal or not; a part that a separator promised is '' when missing."""
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
    """Return why Ollama refuses `part`, empty if it does not."""
    longest = LONGEST_HOST if kind == "host" else LONGEST_PART
    if not part:
        return f"The {kind} is missing."
    if not _is_letter(part[0]):
        return f"The {kind} {part!r} must start with a letter, a digit or '_' (A-Z, a-z, 0-9)."
    strange = sorted({c for c in part if not _is_letter(c) and c not in _EXTRA_CHARACTERS[kind]})
    if strange:
        reason = f"The {kind} {part!r} contains {', '.join(map(repr, strange))}"
        registry = kind == "namespace" and set(strange) <= set(".:")
        return f"{reason}; a registry needs host, namespace and model." if registry else f"{reason}."
    if len(part) > longest:
        return f"The {kind} is {len(part)} characters long; {longest} is the most."
    if kind == "tag" and is_cloud_tag(part):
        return f"The tag {part!r} makes Ollama look elsewhere: 'local', 'cloud' and '…-cloud' are reserved."
    return ""


def _is_letter(character: str) -> bool:
    return character == "_" or (character.isascii() and character.isalnum())


def is_cloud_tag(tag: str) -> bool:
    """Return whether Ollama reserves a tag for models that run in its cloud."""
    lowered = tag.lower()
    return lowered in ("cloud", "local") or lowered.endswith("-cloud")


def _legal(parts: dict[str, str]) -> ModelName:
    """Return a legal name close to `parts`."""
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
    """Return `part` with what Ollama refuses replaced by '-'; empty when nothing is left."""
    plain = unicodedata.normalize("NFKD", part)
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    allowed = re.escape(_EXTRA_CHARACTERS[kind])
    plain = re.sub(rf"[^A-Za-z0-9{allowed}]+", "-", plain)
    plain = plain[: LONGEST_HOST if kind == "host" else LONGEST_PART]
    return plain.lstrip("-.:").rstrip("-.:")
