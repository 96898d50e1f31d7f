"""What a daemon has already, and what it lacks: the base, which is pulled, and what would be moved."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ollama_pack.deliver.image import base_has_adapter_note, check_kind
from ollama_pack.deliver.package import DeliveryPlan, Package
from ollama_pack.errors import DestinationError, InputError
from ollama_pack.files import Progress
from ollama_pack.gguf.model_info import ModelInfo, read_model_info, vocabulary_of
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.ollama.compat import is_translated
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.names import ModelName
from ollama_pack.ollama.versions import known_crash, unsupported_reason
from ollama_pack.verify.base import compare_base, require_no_mismatch


def ensure_base(package: Package, daemon: Daemon, progress: Progress | None) -> list[str]:
    """Have a package's base in the daemon, but for a file, and return what to tell the user of it.

    Raises:
        DestinationError: it is not there and cannot be pulled.
        UnsupportedError: it would ignore an adapter.
        ProofError: it is not the base the adapter was trained on.
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
        shown = daemon.show(tag, verbose=tokens)
    if shown is not None:
        check_kind(tag, shown.format, shown.remote)
        if shown.has_adapter:
            lines.append(base_has_adapter_note(tag))
        seen = ModelInfo(tag, shown.metadata, shown.shapes, vocabulary_of(shown.metadata, "the daemon"))
        lines += _check_base_info(package, version, seen)
    return lines


def check_base_file(package: Package, gguf: Path, version: str = "") -> list[str]:
    """Require that the adapter fits a base that is a file, and return what to tell the user of it.

    A base that the build has read and checked already is neither read nor checked a second time.

    Args:
        package: the model that is delivered.
        gguf: the GGUF file of its base.
        version: the version of Ollama, or empty if it is unknown.

    Raises:
        ProofError: it is not the base the adapter was trained on.
        InputError: the adapter is damaged.
    """
    info = package.base.info if gguf == package.base.gguf else None
    if info is None:
        try:
            info = read_model_info(gguf, package.base.tag)
        except InputError:  # a format that this reader does not know yet; Ollama may
            return []
    return _check_base_info(package, version, info)


def _check_base_info(package: Package, version: str, info: ModelInfo) -> list[str]:
    """Return what to tell of a base: whether this Ollama runs it with an adapter, and how it was proved."""
    written = read_gguf(package.adapter.path)
    lines = package.base_check
    if lines is None or info is not package.base.info:
        mismatches = compare_base(package.trained, written, info)
        lines = tuple(require_no_mismatch(package.trained, mismatches, info))
    why = why_base_fails(version, info.metadata, info.shapes)
    crash = known_crash(version, written.text("general.architecture"), written.shapes)
    return [*(f"{info.name}: {each}" for each in (why, crash) if each), *lines]


def why_base_fails(version: str, metadata: Mapping[str, Any], tensors: Collection[str]) -> str:
    """Return why an Ollama does not run a base with an adapter, empty where it does.

    Args:
        version: of Ollama; empty where it is not known.
        metadata: of the base's header.
        tensors: names of its tensors.
    """
    arch = str(metadata.get("general.architecture", ""))
    return unsupported_reason(version, arch, translated=is_translated(metadata, tensors))


def digest_in(daemon: Daemon, name: ModelName) -> str:
    """Return the digest of the daemon's model of that name, empty if it has none.

    Raises:
        DestinationError: the daemon said no, or is not there.
    """
    wanted = name.display.lower()
    return next((model.digest for model in daemon.models() if model.name.lower() == wanted), "")


def plan_by_daemon(daemon: Daemon, package: Package, via: str) -> DeliveryPlan:
    """Return what a way through the daemon would move; a GGUF base counts in full, since it is not read.

    Raises:
        DestinationError: the daemon said no, or is not there.
    """
    adapter = package.adapter
    items = [("adapter", 0 if daemon.has_blob(adapter.digest) else adapter.size)]
    if package.base.gguf is not None:
        items.append((f"base {package.base.gguf.name}, unless it is there", package.base.gguf.stat().st_size))
    elif daemon.show(package.base.tag) is None:
        items.append((f"ollama pull {package.base.tag}, of unknown size", 0))
    replaces = digest_in(daemon, package.name) != ""
    return DeliveryPlan(via, str(package.name), daemon.address, tuple(items), replaces)


def _pull(tag: str, daemon: Daemon, progress: Progress | None) -> None:
    try:
        daemon.pull(tag, progress)
    except DestinationError as error:
        reason = error.what.removeprefix("The daemon says: ").rstrip(".")
        raise DestinationError(
            f"Ollama does not have {tag} and could not pull it ({reason}).",
            where=daemon.address,
            hint=f"ollama pull {tag} when there is a network, or --base FILE.gguf",
        ) from error
