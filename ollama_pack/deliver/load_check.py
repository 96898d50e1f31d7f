"""The load proof: a daemon loads the model, and its answers differ from those of the base."""

import contextlib
from collections.abc import Iterator

from ollama_pack.deliver.base_check import why_adapter_fails
from ollama_pack.deliver.package import Package
from ollama_pack.errors import DestinationError, ProofError
from ollama_pack.gguf.constants import INVOCATION_TOKENS
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.models import spoilt_adapter
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.weights_alone import weights_alone
from ollama_pack.verify.load import Answer, compare_answers, require_change
from ollama_pack.verify.result import ProofResult

ANSWER_TOKENS = 8
"""The number of tokens that a model is asked for at each prompt."""


def check_load(package: Package, daemon: Daemon, *, allow_noop: bool = False) -> ProofResult:
    """Have a daemon load a model and its base, compare their answers, and unload both.

    An aLoRA is not active before its invocation tokens, so its answers may equal those of the base.

    Args:
        package: the model, which the daemon has under the name ``package.place``.
        daemon: the daemon.
        allow_noop: whether the answers may equal those of the base.

    Raises:
        ProofError: the model does not load, or answers as its base does.
    """
    is_alora = INVOCATION_TOKENS in package.adapter_header().metadata
    label, model = package.name.display, package.place.display

    def ask(name: str, prompt: str) -> Answer:
        return Answer(*daemon.answer(model if name == label else name, prompt, ANSWER_TOKENS))

    try:
        # A model on the same base with the same adapter may be loaded, with another prompt template.
        daemon.unload(model)
        with _base_name(package, model, daemon) as base, _unloading(daemon, model, base):
            before = package.merged_from or package.base
            base_label = before.tag or (before.gguf.name if before.gguf else "its base")
            report = compare_answers(label, base, ask, called=base_label, may_equal=allow_noop or is_alora)
            return require_change(report)
    except DestinationError as error:
        raise _does_not_load(package, error, _explain_failure(package, daemon)) from error


@contextlib.contextmanager
def _base_name(package: Package, model: str, daemon: Daemon) -> Iterator[str]:
    """Yield the daemon's name for the base.

    A base that is a GGUF file has no name, nor has one that is known only as a layer of an installed model.
    The daemon then gets the base under a temporary name for as long as the proof runs. No weights are sent,
    because the daemon has this layer already. The name is empty if the daemon cannot pull from this process.
    The weights of a merged model are not those of its base, so the base must be installed; otherwise the
    name is empty.
    """
    if package.merged_from is not None:
        tag = package.merged_from.tag
        yield parse_name(tag).display if tag and daemon.show(tag) is not None else ""
        return
    if package.base.gguf is None and package.base.tag:
        yield parse_name(package.base.tag).display
        return
    with contextlib.ExitStack() as temporary:
        name = ""
        with contextlib.suppress(
            DestinationError
        ):  # the daemon is on another machine, or does not push the model
            name = temporary.enter_context(weights_alone(daemon, model))
        yield name


@contextlib.contextmanager
def _unloading(daemon: Daemon, *names: str) -> Iterator[None]:
    """Unload models from the daemon on leaving the context, whatever happened in it."""
    try:
        yield
    finally:
        for name in filter(None, names):
            with contextlib.suppress(DestinationError):
                daemon.unload(name)


def _explain_failure(package: Package, daemon: Daemon) -> str:
    """Return why the daemon does not load a model, or an empty text if the reason is unknown."""
    shown = None
    with contextlib.suppress(DestinationError):
        shown = daemon.show(package.place.display)
    if shown is None:
        return ""
    if package.adapter is None:
        return ""
    corrupt = spoilt_adapter(shown.modelfile)
    failures = why_adapter_fails(package.adapter_header(), daemon.version(), shown.metadata, shown.shapes)
    return corrupt or next(iter(failures), "")


def _does_not_load(package: Package, error: DestinationError, cause: str) -> ProofError:
    """Return the error; without a known cause its hint lists what was checked, and where to look further."""
    reason = error.what.removeprefix("The daemon says: ").rstrip(".")
    checked = (
        "architecture, names, pairs, shapes and types of the adapter were checked against "
        f"{package.base.origin or 'the base'}; the log of ollama serve gives the reason"
    )
    return ProofError(
        f"The daemon cannot load {package.name} ({reason}).",
        where=error.where,
        hint=f"{cause or checked}\n       --no-load skips this proof",
        code="not-loaded",
    )
