"""Earlier versions of a model: kept under a name of their own when it is replaced, brought back by a copy.

A version is a manifest, a few hundred bytes; the blobs it names stay for as long as it does. It is called as
the model is, with the beginning of its digest behind the tag, ``ada:latest-1a2b3c4d``, so that Ollama lists
and runs it like any other, and nothing of ours has to be remembered.
"""

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import replace

from ollama_pack.deliver.package import Receipt
from ollama_pack.errors import DestinationError, InputError, RefusedError
from ollama_pack.files import Progress
from ollama_pack.ollama.models import InstalledModel, ModelRepository, find_model, no_such_model
from ollama_pack.ollama.name_lock import name_lock
from ollama_pack.ollama.names import LONGEST_PART, ModelName

KEPT_VERSIONS = 3
"""Versions of a model that are kept; the oldest with an adapter goes when there is one more."""

SHORT_DIGEST = 8
"""Digits of a digest that tell versions apart."""


def versions(models: ModelRepository, name: ModelName) -> list[InstalledModel]:
    """Return the earlier versions of a model, the latest first."""
    return current_and_versions(models, name)[1]


def current_and_versions(
    models: ModelRepository, name: ModelName
) -> tuple[InstalledModel | None, list[InstalledModel]]:
    """Return a model, None where there is none, and its earlier versions, the latest first."""
    current, kept = _listed(models, name)
    return current, [entry for entry in kept if current is None or entry.digest != current.digest]


def version_name(name: ModelName, digest: str) -> ModelName:
    """Return what a version of a model is called; a tag too long for that is cut, and has its own digest."""
    tag, longest = name.tag, LONGEST_PART - SHORT_DIGEST - 1
    if len(tag) > longest:
        whole = hashlib.sha256(tag.lower().encode()).hexdigest()[:SHORT_DIGEST]
        tag = f"{tag[: longest - SHORT_DIGEST - 1]}-{whole}"
    return replace(name, tag=f"{tag}-{digest[:SHORT_DIGEST]}")


def is_version(name: ModelName, digest: str) -> bool:
    """Return whether a model is called as an earlier version of another one is."""
    return name.tag.lower().endswith(f"-{digest[:SHORT_DIGEST]}")


def replace_keeping_version(
    models: ModelRepository, name: ModelName, put: Callable[[], Receipt], progress: Progress | None = None
) -> Receipt:
    """Put a model, and keep the one that had its name as a version; not where it is the very same.

    Another `ollama-pack` of this machine that works on the name is waited for.

    Raises:
        PackError: as `put` does; then what was there is as it was, or kept.
    """
    with name_lock(name, progress):
        current = find_model(models, name)
        if current is None:
            return put()
        kept = version_name(current.name, current.digest)
        with contextlib.ExitStack() as undo:
            undo.callback(_forget_unless_needed, models, current, kept)
            models.copy(current.name, kept)
            receipt = put()
            if receipt.digest == current.digest:
                return receipt
            undo.pop_all()
        _delete_version(models, version_name(current.name, receipt.digest))
        gone = _prune(models, name)
    first, *others = receipt.lines
    back = f"ollama-pack rollback {current.name}{models.option}"
    told = [f"the earlier one is kept as {kept}: {back}  brings it back"]
    told += [f"{old}, an earlier one, is removed: {KEPT_VERSIONS} are kept" for old in gone]
    return replace(receipt, lines=(first, *others, *told))


def rollback(
    models: ModelRepository, name: ModelName, version: str = ""
) -> tuple[InstalledModel, InstalledModel | None]:
    """Give a model's name back to an earlier version; return that, and the one it had, a version now.

    Args:
        models: where the model is.
        name: of the model.
        version: which one, by its tag or the beginning of its digest; the latest where empty.

    Raises:
        InputError: there is no such version, or there are several.
        DestinationError: it cannot be done; then nothing is lost.
    """
    with name_lock(name):
        current, known = current_and_versions(models, name)
        chosen = _chosen(models, name, current, known, version)
        lost = models.why_broken(chosen.name)
        if lost:
            raise DestinationError(
                f"{chosen.name} would not run: {lost}.",
                hint=f"ollama-pack versions {name}{models.option}  lists the others",
            )
        target = current.name if current else replace(chosen.name, tag=name.tag)
        earlier = None
        if current is not None:
            earlier = replace(current, name=version_name(current.name, current.digest))
            models.copy(current.name, earlier.name)
        models.unload(target)
        models.copy(chosen.name, target)
        models.unload(target)
        _delete_version(models, chosen.name)
        return replace(chosen, name=target), earlier


def remove_model(models: ModelRepository, name: ModelName) -> tuple[list[ModelName], list[ModelName]]:
    """Remove a model and its versions; return the names removed, and those of versions that stay.

    A version without an adapter stays: it is a model of the user's that a build replaced.

    Raises:
        InputError: there is no such model.
        RefusedError: it has no adapter, so it is none of ours.
        DestinationError: it cannot be removed.
    """
    with name_lock(name):
        current, earlier = _listed(models, name)
        if current is None and not earlier:
            raise no_such_model(models, name)
        if current is not None and not models.has_adapter(current.name):
            raise RefusedError(
                f"{current.name} has no adapter, so ollama-pack did not make it.",
                where=models.place,
                hint=f"ollama rm {current.name}  if it is not needed any more",
            )
        ours = [entry.name for entry in earlier if models.has_adapter(entry.name)]
        gone = [*([current.name] if current else []), *ours]
        for each in gone:
            models.unload(each)
            models.delete(each)
        return gone, [entry.name for entry in earlier if entry.name not in gone]


def _listed(models: ModelRepository, name: ModelName) -> tuple[InstalledModel | None, list[InstalledModel]]:
    """Return a model, and every entry that is called like a version of it, the current one too."""
    entries = list(models.entries())
    current = next((entry for entry in entries if entry.name.same_as(name)), None)
    kept = [entry for entry in entries if entry.name.same_as(version_name(name, entry.digest))]
    return current, sorted(kept, key=lambda entry: entry.changed, reverse=True)


def _chosen(
    models: ModelRepository,
    name: ModelName,
    current: InstalledModel | None,
    known: list[InstalledModel],
    version: str,
) -> InstalledModel:
    """Return the version that is meant, the latest where none is named."""
    found = [entry for entry in known if _means(version, entry)]
    if len(found) == 1 or (found and not version):
        return found[0]
    if current is None and not known:
        raise no_such_model(models, name)
    if not known:
        raise InputError(
            f"There is no earlier version of {name}.",
            where=models.place,
            hint="one is kept when a build replaces a model",
        )
    if current is not None and not found and _means(version, current):
        why = f"{version} is what {name} is already."
    else:
        why = f"{version} {'means several versions' if found else 'is no version'} of {name}."
    raise InputError(
        why, where=models.place, hint=f"one of {', '.join(entry.digest[:SHORT_DIGEST] for entry in known)}"
    )


def _means(version: str, entry: InstalledModel) -> bool:
    """Return whether a text is the beginning of an entry's digest, its tag or its name."""
    wanted = version.lower().removeprefix("sha256:")
    names = (entry.name.tag, str(entry.name), entry.name.display)
    return entry.digest.startswith(wanted) or wanted in (name.lower() for name in names)


def _forget_unless_needed(models: ModelRepository, current: InstalledModel, kept: ModelName) -> None:
    """Remove a version again, where the model still is what it was: a put may fail after it replaced."""
    with contextlib.suppress(DestinationError):
        found = find_model(models, current.name)
        if found is not None and found.digest == current.digest:
            models.delete(kept)


def _prune(models: ModelRepository, name: ModelName) -> list[ModelName]:
    """Remove the oldest versions there are too many of; one without an adapter is the user's, and stays."""
    ours, gone = 0, []
    for entry in versions(models, name):
        with contextlib.suppress(DestinationError):  # what matters is done
            if models.has_adapter(entry.name):
                ours += 1
                if ours > KEPT_VERSIONS:
                    models.delete(entry.name)
                    gone.append(entry.name)
    return gone


def _delete_version(models: ModelRepository, name: ModelName) -> None:
    with contextlib.suppress(DestinationError):  # what matters is done; a version too many harms nobody
        models.delete(name)
