"""Earlier versions of a model: kept under another name when the model is replaced, and restored by a copy.

A version is a manifest of a few hundred bytes; the blobs that it names stay as long as the manifest does. Its
name is that of the model with the beginning of its digest after the tag, ``ada:latest-1a2b3c4d``, so that
Ollama lists and runs it like any other model, and ollama-pack needs no records.
See "An earlier version is a name" in docs/decisions.md.
"""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from ollama_pack.deliver.package import Receipt
from ollama_pack.disk.files import Progress
from ollama_pack.errors import DestinationError, RefusedError, UsageError
from ollama_pack.message import Message
from ollama_pack.ollama.models import InstalledModel, ModelRepository, find_model, is_ours, no_such_model
from ollama_pack.ollama.name_lock import name_lock
from ollama_pack.ollama.names import LONGEST_PART, ModelName

KEPT_VERSIONS = 3
"""The number of versions of a model that are kept; the oldest one with an adapter is removed first."""

SHORT_DIGEST = 8
"""The number of hexadecimal digits of a digest that the name of a version has."""


def versions(models: ModelRepository, name: ModelName) -> list[InstalledModel]:
    """Return the earlier versions of a model, the latest one first."""
    return current_and_versions(models, name)[1]


def current_and_versions(
    models: ModelRepository, name: ModelName
) -> tuple[InstalledModel | None, list[InstalledModel]]:
    """Return a model, or None if there is no such model, and its earlier versions, the latest one first."""
    current, kept = _listed(models, name)
    return current, [entry for entry in kept if current is None or entry.digest != current.digest]


def version_name(name: ModelName, digest: str) -> ModelName:
    """Return the name of a version: the model's name with the first digits of the digest after its tag."""
    return name_with_ending(name, digest[:SHORT_DIGEST])


def name_with_ending(name: ModelName, ending: str) -> ModelName:
    """Return a name with an ending after its tag; a tag that is too long is cut, and gets its own digest."""
    tag, longest = name.tag, LONGEST_PART - len(ending) - 1
    if len(tag) > longest:
        whole = hashlib.sha256(tag.lower().encode()).hexdigest()[:SHORT_DIGEST]
        tag = f"{tag[: longest - SHORT_DIGEST - 1]}-{whole}"
    return replace(name, tag=f"{tag}-{ending}")


def is_version(name: ModelName, digest: str) -> bool:
    """Return whether the tag ends with the first digits of this digest, as the names of kept versions do."""
    return name.tag.lower().endswith(f"-{digest[:SHORT_DIGEST]}")


def replace_keeping_version(
    models: ModelRepository,
    name: ModelName,
    register: Callable[[], Receipt],
    progress: Progress | None = None,
) -> Receipt:
    """Register a model, and keep the model that had its name as a version unless both are identical.

    It waits for another ollama-pack on this machine that changes the same name.

    Raises:
        PackError: `register` failed; the previous model still has its name, or is kept as a version.
    """
    with name_lock(name, progress):
        return replace_current(models, name, register)


def replace_current(models: ModelRepository, name: ModelName, register: Callable[[], Receipt]) -> Receipt:
    """Register a model, and keep the model that had its name as a version unless both are identical.

    The caller holds the lock of the name.

    Raises:
        PackError: `register` failed; the previous model still has its name, or is kept as a version.
    """
    current = find_model(models, name)
    if current is None:
        return register()
    kept = version_name(current.name, current.digest)
    with contextlib.ExitStack() as undo:
        undo.callback(_forget_unless_needed, models, current, kept)
        models.copy(current.name, kept)
        receipt = register()
        if receipt.digest == current.digest:
            return receipt
        undo.pop_all()
    _delete_version(models, version_name(current.name, receipt.digest))
    gone = _prune(models, name)
    first, *others = receipt.lines
    back = f"ollama-pack rollback {current.name}{models.option}"
    text = f"the previous model is kept as {kept}: {back}  restores it"
    messages = [Message(text, "version-kept", name=str(kept), digest=f"sha256:{current.digest}")]
    for old in gone:
        text = f"removed the old version {old}: {KEPT_VERSIONS} are kept"
        messages.append(Message(text, "version-removed", name=str(old)))
    return replace(receipt, lines=(first, *others, *messages))


def rollback(
    models: ModelRepository, name: ModelName, version: str = ""
) -> tuple[InstalledModel, InstalledModel | None]:
    """Restore an earlier version of a model, and keep the current model as a version.

    Args:
        models: the daemon or the store that has the model.
        name: the name of the model.
        version: the tag of the version or the beginning of its digest; empty for the latest version.

    Returns:
        The restored model, and the version that the model has become, or None if there was no model.

    Raises:
        UsageError: there is no such version, or several match.
        DestinationError: the daemon or the store refuses; no version is lost.
    """
    with name_lock(name):
        current, known = current_and_versions(models, name)
        chosen = _chosen(models, name, current, known, version)
        damage = models.why_broken(chosen.name)
        if damage:
            raise DestinationError(
                f"{chosen.name} would not run: {damage}.",
                hint=f"ollama-pack versions {name}{models.option}  lists the others",
                code="version-broken",
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


Confirm: TypeAlias = Callable[[Sequence[ModelName]], bool]
"""Function that returns whether the models with these names may be removed."""


def remove_model(
    models: ModelRepository, name: ModelName, confirm: Confirm = lambda _names: True
) -> tuple[list[ModelName], list[ModelName]]:
    """Remove a model and its versions.

    A version without an adapter stays: it is a model of the user's that a build replaced.

    Args:
        models: the daemon or the store that has the model.
        name: the name of the model.
        confirm: asked once, with every name that goes; if it returns False, nothing is removed.

    Returns:
        The names that go, and the names of the versions that stay.

    Raises:
        UsageError: there is no such model.
        RefusedError: the model has no adapter, so ollama-pack did not make it.
        DestinationError: the daemon or the store refuses.
    """
    with name_lock(name):
        current, earlier = _listed(models, name)
        if current is None and not earlier:
            raise no_such_model(models, name)
        if current is not None and not is_ours(models, current.name):
            raise RefusedError(
                f"{current.name} has no adapter, so ollama-pack did not make it.",
                where=models.place,
                hint=f"ollama rm {current.name}  if it is not needed any more",
                code="not-ours",
            )
        ours = [entry.name for entry in earlier if is_ours(models, entry.name)]
        gone = [*([current.name] if current else []), *ours]
        for each in gone if confirm(gone) else ():
            models.unload(each)
            models.delete(each)
        return gone, [entry.name for entry in earlier if entry.name not in gone]


def _listed(models: ModelRepository, name: ModelName) -> tuple[InstalledModel | None, list[InstalledModel]]:
    """Return a model, and every entry named like a version of it, also one that equals the current model."""
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
    """Return the version that `version` names, or the latest one if it is empty."""
    matches = [entry for entry in known if _means(version, entry)]
    if len(matches) == 1 or (matches and not version):
        return matches[0]
    if current is None and not known:
        raise no_such_model(models, name)
    if not known:
        raise UsageError(
            f"There is no earlier version of {name}.",
            where=models.place,
            hint="a version is kept when a build replaces a model",
            code="no-such-version",
        )
    if current is not None and not matches and _means(version, current):
        why = f"{name} is already at version {version}."
    else:
        why = f"{version} {'matches several versions' if matches else 'is not a version'} of {name}."
    raise UsageError(
        why,
        where=models.place,
        hint=f"choose one of {', '.join(entry.digest[:SHORT_DIGEST] for entry in known)}",
        code="no-such-version",
    )


def _means(version: str, entry: InstalledModel) -> bool:
    """Return whether `version` is the beginning of an entry's digest, or its tag, or its name."""
    wanted = version.lower().removeprefix("sha256:")
    names = (entry.name.tag, str(entry.name), entry.name.display)
    return entry.digest.startswith(wanted) or wanted in (name.lower() for name in names)


def _forget_unless_needed(models: ModelRepository, current: InstalledModel, kept: ModelName) -> None:
    """Delete the version that was just kept, unless the delivery replaced the model before it failed."""
    with contextlib.suppress(DestinationError):
        now = find_model(models, current.name)
        if now is not None and now.digest == current.digest:
            models.delete(kept)


def _prune(models: ModelRepository, name: ModelName) -> list[ModelName]:
    """Delete the oldest versions above the limit; one without an adapter is the user's own, and stays."""
    ours, gone = 0, []
    for entry in versions(models, name):
        with contextlib.suppress(
            DestinationError
        ):  # the new model is registered; one version too many does no harm
            if is_ours(models, entry.name):
                ours += 1
                if ours > KEPT_VERSIONS:
                    models.delete(entry.name)
                    gone.append(entry.name)
    return gone


def _delete_version(models: ModelRepository, name: ModelName) -> None:
    """Delete a version; a failure is ignored."""
    with contextlib.suppress(
        DestinationError
    ):  # the new model is registered; one version too many does no harm
        models.delete(name)
