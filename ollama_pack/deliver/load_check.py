"""PROVE that what was registered loads, with the daemon that has it."""

import contextlib
from collections.abc import Iterator

from ollama_pack.deliver.base_check import digest_in, why_base_fails
from ollama_pack.deliver.history import version_name
from ollama_pack.deliver.package import Package
from ollama_pack.errors import DestinationError, ProofError
from ollama_pack.gguf.constants import INVOCATION_TOKENS
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.loopback_registry import serving
from ollama_pack.ollama.manifest import without_adapter
from ollama_pack.ollama.manifest_probe import probe_manifest
from ollama_pack.ollama.models import spoilt_adapter
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.versions import known_crash
from ollama_pack.verify.load import Answer, compare_answers, require_change
from ollama_pack.verify.result import ProofResult

ANSWER_TOKENS = 8
"""How many a model is asked for at each prompt."""


def check_load(package: Package, address: str, *, digest: str, allow_noop: bool = False) -> ProofResult:
    """Have a daemon load a model it has, ask it and its base, and unload both.

    An aLoRA is not active before its invocation tokens, so its answers may be the base's.

    Args:
        package: what was registered.
        address: of the daemon.
        digest: of the manifest that was registered. Another build may have the name by now; then this one
            is a version, and asked under that name.
        allow_noop: whether its answers may be those of its base.

    Raises:
        ProofError: the model does not load, is not there, or answers as its base does.
    """
    asleep = INVOCATION_TOKENS in read_gguf(package.adapter.path).metadata
    with Daemon(address) as daemon:
        model = _registered_name(package, daemon, digest)

        def ask(name: str, prompt: str) -> Answer:
            return Answer(*daemon.answer(name, prompt, ANSWER_TOKENS))

        try:
            with _base_name(package, model, daemon) as base, _unloading(daemon, model, base):
                called = package.base.gguf.name if package.base.gguf else ""
                report = compare_answers(model, base, ask, called=called, may_equal=allow_noop or asleep)
                return require_change(report)
        except DestinationError as error:
            raise _does_not_load(package, error, _explain_failure(package, daemon)) from error


def _registered_name(package: Package, daemon: Daemon, digest: str) -> str:
    """Return what the daemon calls the model that was registered."""
    names = (package.name, version_name(package.name, digest))
    found = next((name for name in names if digest_in(daemon, name) == digest), None)
    if found is None:
        raise ProofError(
            f"{package.name} was registered, and the daemon has another model under that name now.",
            where=daemon.address,
            hint="the same command once more; something else may be writing that name",
        )
    return found.display


@contextlib.contextmanager
def _base_name(package: Package, model: str, daemon: Daemon) -> Iterator[str]:
    """Yield what the daemon calls the base; a file is lent a name, and gets none where that cannot be done.

    Its bytes are in the daemon already, as those of the model's own base layer, and are not moved.
    """
    if package.base.gguf is None:
        yield parse_name(package.base.tag).display
        return
    with contextlib.ExitStack() as lent:
        name = ""
        with contextlib.suppress(DestinationError):  # the daemon is on another machine, or keeps no secrets
            registry = lent.enter_context(serving(without_adapter(probe_manifest(daemon, model))))
            lent.callback(_delete_quietly, daemon, registry.name.display)
            daemon.pull(registry.name.display, insecure=True)
            name = registry.name.display
        yield name


@contextlib.contextmanager
def _unloading(daemon: Daemon, *names: str) -> Iterator[None]:
    try:
        yield
    finally:
        for name in filter(None, names):
            with contextlib.suppress(DestinationError):
                daemon.unload(name)


def _delete_quietly(daemon: Daemon, name: str) -> None:
    with contextlib.suppress(DestinationError):
        daemon.delete(name)


def _explain_failure(package: Package, daemon: Daemon) -> str:
    """Return why the daemon does not load a model, empty where that cannot be told from outside."""
    shown = None
    with contextlib.suppress(DestinationError):
        shown = daemon.show(package.name.display)
    if shown is None:
        return ""
    spoilt = spoilt_adapter(shown.modelfile)
    version, written = daemon.version(), read_gguf(package.adapter.path)
    aborts = known_crash(version, written.text("general.architecture"), written.shapes)
    return spoilt or why_base_fails(version, shown.metadata, shown.shapes) or aborts


def _does_not_load(package: Package, error: DestinationError, why: str) -> ProofError:
    """Return what is wrong, as far as it can be told: the daemon may give a bare exit status."""
    reason = error.what.removeprefix("The daemon says: ").rstrip(".")
    checked = (
        "architecture, names, pairs, shapes and types of the adapter were checked against "
        f"{package.base.origin or 'the base'}; the log of ollama serve has the reason"
    )
    return ProofError(
        f"{package.name} is registered, but the daemon cannot load it ({reason}).",
        where=error.where,
        hint=f"{why or checked}\n       --no-load skips this proof; "
        f"ollama-pack remove {package.name}  takes the model away",
    )
