"""Gives the weights of a daemon's model a name of their own, while something is asked about them alone."""

import contextlib
from collections.abc import Iterator

from ollama_pack.errors import DestinationError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.erase import erase_model
from ollama_pack.ollama.loopback_registry import serving
from ollama_pack.ollama.manifest import without_adapter
from ollama_pack.ollama.manifest_probe import probe_manifest


@contextlib.contextmanager
def weights_alone(daemon: Daemon, name: str) -> Iterator[str]:
    """Yield the name of a model with the weights of another one, and neither its prompt nor its adapter.

    No weights are sent, because the daemon has them. The model is deleted when the block ends.

    Args:
        daemon: the daemon.
        name: the model that it has.

    Raises:
        UnreachableError: the daemon cannot connect to this machine.
        DestinationError: the daemon has no such model, or does not push it.
    """
    with serving(without_adapter(probe_manifest(daemon, name))) as registry:
        alone = registry.name.display
        try:
            daemon.pull(alone, insecure=True)
            yield alone
        finally:
            with contextlib.suppress(DestinationError):
                erase_model(daemon, alone)
