"""Errors and warnings as SARIF 2.1.0, which GitHub's code scanning and editors read."""

import hashlib
import json
import re
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
    """Return all errors and warnings as a SARIF document, with what code scanning requires of one."""
    root = repository_root(environment)
    results = [
        _finding(
            level,
            code or str(event.facts.get("stage", "")),
            text,
            file_at(str(event.facts.get("where", "")), root),
        )
        for event in events
        for level, code, text in messages(event)
    ]
    rules = [_rule(code) for code in sorted({each["ruleId"] for each in results})]
    driver = {"name": "ollama-pack", "version": __version__, "informationUri": PAGE, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "ollama-pack/"},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _finding(level: str, code: str, text: str, file: str) -> dict[str, Any]:
    """Return one result.

    Code scanning requires a place and a line, so a finding that is in no file gets the repository. It
    recognises a finding by its fingerprint, which it cannot compute itself for a file that is not text.
    """
    rule, said = one_line(code), printable(hide_passwords(text))
    told = "\0".join((rule, file, said)).encode("utf-8", "backslashreplace")
    place = {
        "artifactLocation": {"uri": quote(file or ".")},
        "region": {"startLine": 1, "startColumn": 1, "endColumn": 2},
    }
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": said},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"primaryLocationLineHash": f"{hashlib.sha256(told).hexdigest()[:16]}:1"},
    }


def _rule(code: str) -> dict[str, Any]:
    """Return the description of a code; its meaning is on the page that is linked."""
    short = f"ollama-pack reports {code}."
    long = f"ollama-pack reports {code}. Each finding says what is wrong, where, and what to try."
    return {
        "id": code,
        "name": "OllamaPack" + re.sub(r"[^A-Za-z0-9]", "", code.title()),
        "shortDescription": {"text": short},
        "fullDescription": {"text": long},
        "help": {
            "text": f"{long} {PAGE} has the meaning of every code.",
            "markdown": f"{long} [Every code]({PAGE})",
        },
        "helpUri": PAGE,
    }
