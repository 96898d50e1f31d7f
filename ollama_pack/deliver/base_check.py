"""Makes sure that a daemon has the base of a model, and that the base is the one the adapter needs."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ollama_pack.deliver.image import base_has_adapter_note, check_kind
from ollama_pack.deliver.package import DeliveryPlan, Package
from ollama_pack.disk.files import Progress
from ollama_pack.errors import DestinationError, InputError
from ollama_pack.gguf.constants import INVOCATION_TOKENS
from ollama_pack.gguf.model_info import ModelInfo, read_model_info, vocabulary_of
from ollama_pack.gguf.reader import GgufFile
from ollama_pack.ollama.compat import is_translated
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.names import ModelName, parse_name
from ollama_pack.ollama.versions import known_crash, unsupported_reason
from ollama_pack.verify.base import compare_base, require_no_mismatch
from ollama_pack.verify.base_mismatch import mismatch_of, stop_at_mismatches


def ensure_base(package: Package, daemon: Daemon, progress: Progress | None) -> list[str]:
    """Pull the base into the daemon if it is missing, check it, and return the messages for the user.

    A base that is a GGUF file is checked only; each delivery sends it in its own manner.

    Raises:
        DestinationError: the daemon does not have the base and cannot pull it.
        UnsupportedError: the base would ignore an adapter.
        ProofError: the base is not the one that the adapter was trained on.
    """
    base, version = package.base, daemon.version()
    if base.gguf is not None:
        return check_base_file(package, base.gguf, version)
    tag, lines = base.tag, []
    tokens = package.trained.vocabulary is not None
    shown = daemon.show(tag, verbose=tokens)
    if shown is None:
        _pull(tag, daemon, progress)
        lines.append(f"pulled {tag}")
        _require_unmoved(package, daemon)
        shown = daemon.show(tag, verbose=tokens)
    if shown is not None:
        check_kind(tag, shown.format, shown.remote)
        if shown.has_adapter:
            lines.append(base_has_adapter_note(tag))
        info = ModelInfo(tag, shown.metadata, shown.shapes, vocabulary_of(shown.metadata, "the daemon"))
        lines += _check_base_info(package, version, info)
    return lines


def _require_unmoved(package: Package, daemon: Daemon) -> None:
    """With ``--strict``, require that a base that was just pulled is the one of the last build.

    The build itself compares a base that was there already. Without ``--strict``, it reports a change
    afterwards.

    Raises:
        ProofError: the tag has another manifest now.
        DestinationError: the daemon refuses or does not answer.
    """
    trained, tag = package.trained, package.base.tag
    if not (trained.strict and trained.manifest):
        return
    now = f"sha256:{digest_in(daemon, parse_name(tag))}"
    if now != trained.manifest:
        change = f"its manifest was {trained.manifest[:19]}… and is {now[:19]}… now"
        moved = mismatch_of("moved", "", f"{tag} has changed since the last build: {change}")
        stop_at_mismatches(trained, [moved], tag)


def check_base_file(package: Package, gguf: Path, version: str = "") -> list[str]:
    """Require that the adapter fits a base that is a GGUF file, and return the messages for the user.

    A base that the build has read and checked is neither read nor checked again.

    Args:
        package: the model that is delivered.
        gguf: the GGUF file of its base.
        version: the version of Ollama, or empty if it is unknown.

    Raises:
        ProofError: the base is not the one that the adapter was trained on.
        InputError: the adapter is damaged.
    """
    if package.adapter is None:  # The base was compared before it was merged into.
        return list(package.base_check or ())
    info = package.base.info if gguf == package.base.gguf else None
    if info is None:
        try:
            info = read_model_info(gguf, package.base.tag)
        except InputError:  # this reader does not know the format; Ollama may know it
            return []
    return _check_base_info(package, version, info)


def _check_base_info(package: Package, version: str, info: ModelInfo) -> list[str]:
    """Return the messages about a base: whether Ollama runs it with an adapter, and how the proof ended."""
    adapter = package.adapter_header()
    lines = package.base_check
    if lines is None or info is not package.base.info:
        mismatches = compare_base(package.trained, adapter, info)
        lines = tuple(require_no_mismatch(package.trained, mismatches, info))
    failures = why_adapter_fails(adapter, version, info.metadata, info.shapes)
    return [*(f"{info.name}: {reason}" for reason in failures), *lines]


def why_adapter_fails(
    adapter: GgufFile, version: str, metadata: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """Return the reasons why this Ollama does not run a base with an adapter.

    Each reason ends with ``--merge`` if every tensor of the adapter is in the base, so that merging can help.

    Args:
        adapter: the header of the GGUF LoRA file.
        version: the version of Ollama; empty if it is unknown.
        metadata: the metadata of the base's GGUF header.
        shapes: the shape of each of the base's tensors, rows first.
    """
    merges = INVOCATION_TOKENS not in adapter.metadata and all(
        name.rpartition(".lora_")[0] in shapes for name in adapter.shapes
    )
    reasons = (
        why_base_fails(version, metadata, shapes),
        known_crash(version, adapter.text("general.architecture"), adapter.shapes),
    )
    return [f"{reason}{', or --merge' if merges else ''}" for reason in reasons if reason]


def why_base_fails(version: str, metadata: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return why this Ollama does not run a base with an adapter, or an empty text if it does.

    Args:
        version: the version of Ollama; empty if it is unknown.
        metadata: the metadata of the base's GGUF header.
        shapes: the shape of each of the base's tensors, rows first.
    """
    arch = str(metadata.get("general.architecture", ""))
    return unsupported_reason(version, arch, translated=is_translated(metadata, shapes))


def digest_in(daemon: Daemon, name: ModelName) -> str:
    """Return the manifest digest of the daemon's model `name`, or an empty text if it has no such model.

    Raises:
        DestinationError: the daemon refuses or does not answer.
    """
    wanted = name.display.lower()
    return next((model.digest for model in daemon.models() if model.name.lower() == wanted), "")


def plan_by_daemon(daemon: Daemon, package: Package, via: str) -> DeliveryPlan:
    """Return what a delivery through the daemon would send.

    A GGUF base counts with its full size, because it is not read here for its digest.

    Raises:
        DestinationError: the daemon refuses or does not answer.
    """
    adapter = package.adapter
    items = [("adapter", 0 if daemon.has_blob(adapter.digest) else adapter.size)] if adapter else []
    if package.base.gguf is not None:
        items.append(
            (
                f"{kind_of_model(package)} {package.base.gguf.name}, unless the daemon has it",
                package.base_size,
            )
        )
    elif daemon.show(package.base.tag) is None:
        items.append((f"ollama pull {package.base.tag}, of unknown size", 0))
    replaces = digest_in(daemon, package.name) != ""
    return DeliveryPlan(via, str(package.name), daemon.address, tuple(items), replaces)


def kind_of_model(package: Package) -> str:
    """Return what a plan calls the GGUF file of a package: a base, or a model with a merged adapter."""
    return "base" if package.adapter is not None else "merged model"


def _pull(tag: str, daemon: Daemon, progress: Progress | None) -> None:
    """Have the daemon pull the base; the error also says that the daemon does not have it."""
    try:
        daemon.pull(tag, progress)
    except DestinationError as error:
        reason = error.what.removeprefix("The daemon says: ").rstrip(".")
        raise DestinationError(
            f"Ollama does not have {tag} and could not pull it ({reason}).",
            where=daemon.address,
            hint=f"ollama pull {shlex.quote(tag)}  once there is a network; or --base FILE.gguf",
            code="base-not-here",
        ) from error
