"""Errors and warnings as SARIF 2.1.0, which GitHub's code scanning and editors read."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ollama_pack import __version__
from ollama_pack.cli.events.event import Event, messages
from ollama_pack.cli.events.place import file_at, repository_root
from ollama_pack.errors import one_line, printable
from ollama_pack.shown import hide_passwords

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
PAGE = "https://github.com/ollama-pack/ollama-pack/blob/main/docs/json.md#errors"


def sarif(events: Sequence[Event], environment: Mapping[str, str]) -> str:
    """Return all errors and warnings as a SARIF document."""
    root = repository_root(environment)
    results: list[dict[str, Any]] = []
    for event in events:
        for level, code, text in messages(event):
            file = file_at(str(event.facts.get("where", "")), root)
            # Code scanning takes no result without a place; what is in no file gets the repository.
            place = {"physicalLocation": {"artifactLocation": {"uri": quote(file or ".")}}}
            results.append(
                {
                    "ruleId": one_line(code or str(event.facts.get("stage", ""))),
                    "level": level,
                    "message": {"text": printable(hide_passwords(text))},
                    "locations": [place],
                }
            )
    rules = [{"id": rule, "helpUri": PAGE} for rule in sorted({each["ruleId"] for each in results})]
    driver = {"name": "ollama-pack", "version": __version__, "informationUri": PAGE, "rules": rules}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"
