"""Asks a daemon whether it can run a model, which the files on this machine do not show."""

import contextlib

from ollama_pack.doctor.findings import RunCheck
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.daemon import Daemon

TRIED_AT_MOST = 3
"""The number of models that are tried, the smallest first, because a model may itself be damaged."""

_NO_GENERATION = "does not support generate"
"""Part of what Ollama answers for an embedding model, which it does not even try to load."""


def check_runner(daemon: Daemon, *, load: bool) -> RunCheck:
    """Return whether a daemon can run a model.

    If a model is loaded already, the daemon can; else the smallest one is loaded and unloaded again.

    Args:
        daemon: the daemon.
        load: whether a model may be loaded.

    Raises:
        DestinationError: the daemon does not list its models.
    """
    loaded = daemon.loaded()
    if loaded:
        return RunCheck(True, f"{loaded[0]} is loaded")
    if not load:
        return RunCheck(None, "not asked, because of --no-load")
    local = sorted((model for model in daemon.models() if not model.remote), key=lambda model: model.size)
    failures = []
    for model in local[:TRIED_AT_MOST]:
        try:
            daemon.load(model.name)
        except DestinationError as error:
            if _NO_GENERATION not in error.what:
                failures.append(f"{model.name} does not load: {error.clause}")
            continue
        with contextlib.suppress(DestinationError):  # the daemon unloads it by itself after minutes
            daemon.unload(model.name)
        return RunCheck(True, f"{model.name} was loaded and unloaded again")
    if failures:
        return RunCheck(False, failures[0])
    return RunCheck(None, "not asked, because Ollama has no model that it could load")
