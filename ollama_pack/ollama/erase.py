"""Deletes a model from a daemon, also one whose manifest is empty.

A disk that fills while a daemon writes a manifest leaves an empty one, because Ollama writes it in place. The
daemon does not list such a manifest and cannot delete it, and while it exists, the daemon removes no unused
blobs when it starts. So another model is copied to its name, which replaces it, and the copy is deleted.
"""

from ollama_pack.ollama.api_errors import EmptyManifestError
from ollama_pack.ollama.daemon import Daemon


def erase_model(daemon: Daemon, name: str) -> None:
    """Delete a model; an empty manifest is replaced by a copy of another model first.

    Raises:
        DestinationError: the daemon has no such model, refuses, or does not answer.
    """
    try:
        daemon.delete(name)
    except EmptyManifestError:
        other = next((model.name for model in daemon.models()), "")
        if not other:
            raise
        daemon.copy(other, name)
        daemon.delete(name)
