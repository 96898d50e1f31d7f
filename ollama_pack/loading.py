"""PROVE that what was registered loads, with the daemon that has it."""

import contextlib

from ollama_pack.destinations.base_model import why_base_fails
from ollama_pack.destinations.daemon import Daemon
from ollama_pack.destinations.package import Package
from ollama_pack.errors import DestinationError, ProofError
from ollama_pack.gguf_io.layout import INVOCATION_TOKENS
from ollama_pack.gguf_io.read import read_gguf
from ollama_pack.names import parse_name
from ollama_pack.parts import Report
from ollama_pack.proofs.load import Answer, prove_load, require_change

TOKENS = 8
"""How many a model is asked for at each prompt."""


def prove_loaded(package: Package, address: str, *, allow_noop: bool = False) -> Report:
    """Have a daemon load a model it has, ask it and its base, and unload both.

    An aLoRA is not active before its invocation tokens, so its answers may be the base's.

    Raises:
        ProofError: the model does not load, or answers as its base does.
    """
    model = package.name.display
    base = "" if package.base.gguf is not None else parse_name(package.base.tag).display
    asleep = INVOCATION_TOKENS in read_gguf(package.adapter.path).metadata
    with Daemon(address) as daemon:

        def ask(name: str, prompt: str) -> Answer:
            return Answer(*daemon.answer(name, prompt, TOKENS))

        try:
            return require_change(prove_load(model, base, ask, may_equal=allow_noop or asleep))
        except DestinationError as error:
            raise _does_not_load(package, error, _why(package, daemon)) from error
        finally:
            for name in filter(None, (model, base)):
                with contextlib.suppress(DestinationError):
                    daemon.unload(name)


def _why(package: Package, daemon: Daemon) -> str:
    """Return why the daemon does not load a model, empty where that cannot be told from outside."""
    shown = None
    with contextlib.suppress(DestinationError):
        shown = daemon.show(package.name.display)
    if shown is None:
        return ""
    return why_base_fails(daemon.version(), shown.metadata, shown.shapes)


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
