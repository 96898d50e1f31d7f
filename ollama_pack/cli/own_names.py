"""Each model of a command that makes several has a name and a folder of its own, or nothing is made.

Neither Ollama nor many file systems distinguish names by upper and lower case. A name without a tag is the
same as one with ``latest``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ollama_pack.errors import UsageError
from ollama_pack.ollama.names import DEFAULT_TAG, ModelName, ascii_lower


@dataclass(frozen=True, slots=True)
class Claim:
    """What one of several models takes for itself.

    Attributes:
        source: the directory that it is made of, or its table in ollama-pack.toml.
        name: its name.
        checkpoint: the value of ``--checkpoint``; checkpoints get tags of their own if the name has no tag.
        folder: the folder that is made for it, or None.
        hint: what the user may do to give it another name or folder.
        where: the place that names it; empty if it was typed.
    """

    source: str
    name: ModelName
    checkpoint: str
    folder: Path | None
    hint: str
    where: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """Return what Ollama compares of the name, with the checkpoints if they give it its tag."""
        own_tag = self.checkpoint if self.name.tag == DEFAULT_TAG else ""
        return (*map(ascii_lower, self.name.parts), own_tag)

    @property
    def place(self) -> tuple[str, ...]:
        """Return the parts of the path of the folder, as a file system without case compares them."""
        return tuple(part.casefold() for part in self.folder.resolve().parts) if self.folder else ()


def require_own_names(claims: Iterable[Claim]) -> None:
    """Require that no two models have the same name, or folders that are the same or one in the other.

    Raises:
        UsageError: two of them do.
    """
    seen: list[tuple[Claim, tuple[str, ...], tuple[str, ...]]] = []
    for claim in claims:
        key, place = claim.key, claim.place
        for other, other_key, other_place in seen:
            if key == other_key:
                what = f"{other.source} and {claim.source} would both become the model {claim.name}."
            elif place and place == other_place:
                what = f"{other.source} and {claim.source} would both be written to {claim.folder}."
            elif _overlap(place, other_place):
                what = (
                    f"The folders of {other.source} and {claim.source} would be one in the other: "
                    f"{other.folder} and {claim.folder}."
                )
            else:
                continue
            raise UsageError(what, where=claim.where, hint=claim.hint, code="same-name")
        seen.append((claim, key, place))


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Return whether two folders are the same, or one is in the other."""
    shorter = min(len(one), len(other))
    return shorter > 0 and one[:shorter] == other[:shorter]
