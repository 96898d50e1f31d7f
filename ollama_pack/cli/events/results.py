"""What a summary, an output or a test report says of each model: values of the documents of results."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from ollama_pack.cli.events.event import Event

_PLANS = frozenset({"plan", "push_plan"})


def result_rows(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return a row for each result among events.

    What a document does not have is empty or 0. ``digest`` is that of the manifest if it is known, else that
    of the GGUF file; ``before`` is the same digest of the previous build. For a push, the place is both
    ``name`` and ``path``.
    """
    return [_result_row(event) for event in events if event.kind == "result"]


def made_rows(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return the rows of results that made something.

    A proof and a plan made nothing: their outputs would replace those of an earlier command in the same step.
    """
    rows = result_rows(events)
    return [row for row in rows if row["kind"] not in _PLANS and (row["digest"] or row["path"])]


def _result_row(event: Event) -> dict[str, Any]:
    """Return the row of one result."""
    document = event.facts["document"]
    delivery = _part(document, "delivery")
    made = _part(document, "merged") or _part(document, "lora")
    base = _part(document, "base")
    file = str(document.get("modelfile") or made.get("path") or "")
    kept, before = _part(made, "kept"), _part(document, "before")
    record = _part(_part(document, "release"), "record")
    place = str(document.get("place") or "")
    return {
        "source": event.source,
        "kind": event.facts["kind"],
        "name": str(document.get("name") or document.get("source") or place),
        "base": base.get("tag") or PurePath(base.get("gguf") or "").name or base.get("source_id") or "",
        "digest": delivery.get("digest") or made.get("digest") or document.get("digest") or "",
        "before": before.get("manifest" if delivery.get("digest") else "gguf") or "",
        "path": PurePath(file).parent.as_posix() if file else delivery.get("where") or place,
        "size": made.get("size") or delivery.get("bytes") or _size_of_files(document),
        "base_size": kept.get("base_bytes") or 0,
        "changed_size": kept.get("bytes") or 0,
        "kept": kept.get("gain"),
        "proofs": list(record.get("proofs") or document.get("proofs") or made.get("proofs") or ()),
        "not_proved": list(document.get("not_proved") or ()),
    }


def _size_of_files(document: Mapping[str, Any]) -> int:
    """Return the size of all files that a document lists with theirs."""
    files = [each for each in document.get("files") or () if isinstance(each, Mapping)]
    return sum(int(each.get("size") or 0) for each in files)


def _part(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return an object in a document, or an empty one."""
    value = document.get(key)
    return value if isinstance(value, Mapping) else {}
