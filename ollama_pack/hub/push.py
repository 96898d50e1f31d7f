"""Pushes files to a repository on the Hugging Face Hub, as one commit or none.

`huggingface_hub` sends large files first, which nobody sees until the commit that names them. The parent of
the commit must be the one that was compared before, so that nothing is lost that somebody else adds
meanwhile. Then the Hub is asked for its files, and each must have the digest of the file here.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_pack.disk.files import sha256_of_file
from ollama_pack.errors import DestinationError, ProofError, RefusedError, UsageError
from ollama_pack.hub.client import HubReference, not_on_the_hub, open_hub
from ollama_pack.shown import reason_of

_IGNORES = ".gitignore"


@dataclass(frozen=True, slots=True)
class HubCommit:
    """A release that is on the Hub now.

    Attributes:
        place: the repository, with the commit that has the release.
        address: the page of the commit.
        files: the names of its files.
        removed: the files of an earlier release that this one does not have.
    """

    place: str
    address: str
    files: tuple[str, ...]
    removed: tuple[str, ...]

    def __str__(self) -> str:
        gone = f", {len(self.removed)} of an earlier release removed" if self.removed else ""
        return f"{self.place}  {len(self.files)} files{gone}"


@dataclass(frozen=True, slots=True)
class HubComparison:
    """What the Hub has of a release that is not pushed yet.

    Attributes:
        commit: the commit that the branch names now.
        same: the names of the files that the Hub has with the same content as here.
        removed: the files of an earlier release that this one does not have.
    """

    commit: str
    same: tuple[str, ...]
    removed: tuple[str, ...]


def push_to_hub(
    files: Sequence[Path], reference: HubReference, known: Iterable[str], environment: Mapping[str, str]
) -> HubCommit:
    """Push files to the top of a repository, and return the commit.

    Args:
        files: the files.
        reference: the repository, and its branch.
        known: every file name that a release may have; a file in the repository with such a name is removed
            if it is not among `files`.
        environment: the variables of the process; ``HF_ENDPOINT`` and ``HF_TOKEN`` are read here.

    Raises:
        UsageError: there is no such repository or branch, this user may not write there, or the extra ``hub``
            is not installed.
        RefusedError: a .gitignore in the repository may leave files out, or somebody else changed it
            meanwhile.
        DestinationError: the Hub does not answer; the repository is as it was.
        ProofError: the Hub has other files than were sent.

    Example:
        >>> place = parse_hub_reference("hf://ada/lovelace-gguf")
        >>> push_to_hub([Path("dist/README.md")], place, (), os.environ).files  # doctest: +SKIP
        ('README.md',)
    """
    place = str(reference)
    hub, errors = open_hub(place, environment)
    with _hub_faults(reference, errors):
        made, removed = _committed(hub, files, reference, known)
    names = [each.name for each in files]
    try:
        found = hub.get_paths_info(reference.repository, names, revision=made.oid)
    except (OSError, ValueError, errors.HTTPError) as error:
        what = f"The commit was made, but the Hub does not list its files: {reason_of(error)}."
        raise DestinationError(
            what, where=place, hint="push again: this compares the files", code="no-network"
        ) from error
    _require_the_same(files, found, place)
    pinned = str(HubReference(reference.repository, made.oid))
    return HubCommit(pinned, made.commit_url, tuple(names), removed)


def compare_with_hub(
    files: Sequence[Path], reference: HubReference, known: Iterable[str], environment: Mapping[str, str]
) -> HubComparison:
    """Return what a push of files would change in a repository; the Hub is asked, and nothing is sent.

    Args:
        files: the files.
        reference: the repository, and its branch.
        known: every file name that a release may have; a file in the repository with such a name would be
            removed if it is not among `files`.
        environment: the variables of the process; ``HF_ENDPOINT`` and ``HF_TOKEN`` are read here.

    Raises:
        PackError: as `push_to_hub` does, if the reason shows before anything is sent.
    """
    hub, errors = open_hub(str(reference), environment)
    with _hub_faults(reference, errors):
        before, removed = _looked_at(hub, files, reference, known)
        names = [each.name for each in files]
        there = {each.path: each for each in hub.get_paths_info(reference.repository, names, revision=before)}
    same = tuple(path.name for path in files if _is_same(there.get(path.name), path))
    return HubComparison(before, same, tuple(removed))


@contextlib.contextmanager
def _hub_faults(reference: HubReference, errors: Any) -> Iterator[None]:  # noqa: ANN401 — the errors of a library
    """Turn errors of the library into errors of this package; after each, the repository is unchanged."""
    try:
        yield
    except errors.RepositoryNotFoundError as error:
        raise _no_repository(reference, error) from error
    except errors.RevisionNotFoundError as error:
        branch = reference.revision or "main"
        raise not_on_the_hub(str(reference), f"The repository has no branch {branch}.") from error
    except (OSError, ValueError, RuntimeError, errors.HTTPError) as error:
        raise _not_pushed(str(reference), error) from error


def _looked_at(
    hub: Any,  # noqa: ANN401 — the client of a library that may be missing
    files: Sequence[Path],
    reference: HubReference,
    known: Iterable[str],
) -> tuple[str, list[str]]:
    """Return the commit that a branch names, and the names of the files that a push would remove."""
    before = hub.repo_info(reference.repository, revision=reference.revision or "main")
    there = {each.rfilename for each in before.siblings or ()}
    if _IGNORES in there:
        what = f"The repository has a {_IGNORES}, which may leave files out."
        raise _refused(what, str(reference), "remove it from the repository, and push again")
    return before.sha, sorted(there & set(known) - {each.name for each in files})


def _committed(
    hub: Any,  # noqa: ANN401 — the client of a library that may be missing
    files: Sequence[Path],
    reference: HubReference,
    known: Iterable[str],
) -> tuple[Any, tuple[str, ...]]:
    """Make the commit; return it, and the names of the files that it removes."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    before, removed = _looked_at(hub, files, reference, known)
    operations = [CommitOperationAdd(each.name, each) for each in files]
    made = hub.create_commit(
        reference.repository,
        [*operations, *map(CommitOperationDelete, removed)],
        commit_message=f"Release by ollama-pack: {_title(files)}",
        revision=reference.revision or "main",
        parent_commit=before,
    )
    return made, tuple(removed)


def _title(files: Sequence[Path]) -> str:
    """Return what identifies the files: the digest of SHA256SUMS for a release, else how many they are."""
    sums = [each for each in files if each.name == "SHA256SUMS"]
    return sha256_of_file(sums[0]) if sums else f"{len(files)} files"


def _no_repository(reference: HubReference, error: Exception) -> UsageError:
    """Return the error for a repository that does not exist, or that the Hub does not show to this user."""
    status = getattr(getattr(error, "response", None), "status_code", 0)
    return UsageError(
        "The Hub asks for a login." if status == 401 else "There is no such repository, or it is private.",
        where=reference,
        hint="set HF_TOKEN to a token that may write, or run hf auth login; hf repos create "
        f"{reference.repository}  makes a new repository",
        code="no-such-directory",
    )


def _not_pushed(place: str, error: Exception) -> DestinationError | UsageError | RefusedError:
    """Return the error for a commit that was not made; the repository is as it was."""
    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
    status = getattr(getattr(cause, "response", None), "status_code", 0)
    if status in (401, 403):
        return UsageError(
            "This token may not write to the repository.",
            where=place,
            hint="set HF_TOKEN to a token that may write there",
            code="bad-token",
        )
    if status in (409, 412):
        return _refused("Somebody else changed the repository meanwhile.", place, "push again")
    return DestinationError(
        f"The release is not pushed, and the repository is as it was: {reason_of(cause)}.",
        where=place,
        hint="push again, when the Hub answers",
        code="no-network",
    )


def _refused(what: str, place: str, hint: str) -> RefusedError:
    """Return the error for a push that would leave files out, or would lose changes of somebody else."""
    return RefusedError(what, where=place, hint=hint, code="file-in-the-way")


def _require_the_same(files: Sequence[Path], found: Iterable[Any], place: str) -> None:
    """Require that the Hub has every file with its digest.

    Raises:
        ProofError: a file is missing, or has another digest.
    """
    has = {each.path: each for each in found}
    for path in files:
        if not _is_same(has.get(path.name), path):
            raise ProofError(
                f"The file {path.name} on the Hub is not the one that was sent.",
                where=place,
                hint="push again",
                code="wrong-digest",
            )


def _is_same(entry: Any, path: Path) -> bool:  # noqa: ANN401 — what a library says of a file
    """Return whether the Hub has a file with the digest of the one here."""
    lfs = getattr(entry, "lfs", None)
    told = lfs.sha256 if lfs else getattr(entry, "blob_id", "")
    return bool(told == (sha256_of_file(path).removeprefix("sha256:") if lfs else _git_digest(path)))


def _git_digest(path: Path) -> str:
    """Return the digest that git has for the content of a file."""
    content = path.read_bytes()
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()
