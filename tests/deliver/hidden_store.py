"""A stand-in daemon whose store lies where this user sees nothing, as that of a container or of a service."""

from pathlib import Path

import fake_daemon
import pytest


def hide_store(monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    """Let every daemon say that its blobs are somewhere else than in `store`."""
    usual = fake_daemon._Handler._shown

    def shown(handler, name, *, verbose):
        made = usual(handler, name, verbose=verbose)
        return made | {"modelfile": made["modelfile"].replace(str(store), "/nowhere/models")}

    monkeypatch.setattr(fake_daemon._Handler, "_shown", shown)
