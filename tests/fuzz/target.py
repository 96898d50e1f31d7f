"""One target of fuzzing: a reader of bytes that others may have written, and what it is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hypothesis import strategies as st
from mutations import documents, mutations, texts


@dataclass(frozen=True)
class Target:
    """A reader, and what it is given.

    Attributes:
        name: what is read.
        read: it is called with the content and an empty folder; it may raise a PackError, and nothing else.
        seeds: real files, which are mutated.
        words: the keys of the documents, or the words of the texts, that are made anew; there may be none.
        is_json: whether the files are JSON.
        share: the part of the inputs of a run that the target gets; a slow one gets less.
    """

    name: str
    read: Callable[[bytes, Path], object]
    seeds: Callable[[], Sequence[bytes]]
    words: tuple[str, ...] = ()
    is_json: bool = False
    share: float = 1.0

    @property
    def inputs(self) -> st.SearchStrategy[bytes]:
        """Return the strategy of its inputs."""
        mutated = mutations(_cached(self.seeds), is_json=self.is_json)
        if not self.words:
            return mutated
        return mutated | mutated | (documents(self.words) if self.is_json else texts(self.words))


@cache
def _cached(seeds: Callable[[], Sequence[bytes]]) -> tuple[bytes, ...]:
    return tuple(seeds())
