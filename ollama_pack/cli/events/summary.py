"""The summary of a job in Markdown: what was made of which base, what was proved, and what failed."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ollama_pack.cli.events.event import Event, messages
from ollama_pack.cli.events.results import result_rows
from ollama_pack.disk.files import megabytes
from ollama_pack.errors import one_line, printable
from ollama_pack.shown import hide_passwords

MOST_SUMMARY_BYTES = 900_000
"""The largest summary, in bytes; nobody reads a longer one to its end."""

STEP_SUMMARY_BYTES = 1_048_576 - 1024
"""GitHub refuses the whole summary of a step, of all its commands, if it has more than a mebibyte."""

_CUT = "\n\nThe rest is in the log.\n"
_HEADER = "| model | base | digest | before | size | kept | proofs |\n|---|---|---|---|---|---|---|\n"
_MARKUP = re.compile(r"[\\`*_{}\[\]()<>#+!|~@&:.$-]")


def summary_markdown(events: Sequence[Event], environment: Mapping[str, str]) -> str:
    """Return the summary of all events, in GitHub's Markdown."""
    rows = result_rows(events)
    parts = ["### ollama-pack\n"]
    if rows:
        parts.append(_HEADER + "".join(map(_table_row, rows)))
    proofs = [
        f"- {_cell(row['name'])}: **{_cell(each['proof'])}** {_cell(each['summary'])}\n"
        for row in rows
        for each in row["proofs"]
    ]
    proofs += [
        f"- {_cell(row['name'])}: **{_cell(each['proof'])}** not proved: {_cell(each['why'])}\n"
        for row in rows
        for each in row["not_proved"]
    ]
    if proofs:
        parts.append(f"<details><summary>Proofs</summary>\n\n{''.join(proofs)}\n</details>\n")
    for event in events:
        for level, code, text in messages(event):
            head = ": ".join(filter(None, (_cell(event.source), _cell(code))))
            parts.append(f"**{level.capitalize()}** {head}\n\n{_block(text)}\n")
    return _bounded(
        "\n".join(parts), min(MOST_SUMMARY_BYTES, STEP_SUMMARY_BYTES - _written_before(environment))
    )


def _table_row(row: dict[str, object]) -> str:
    """Return the row of one model."""
    kept = row["kept"]
    proofs = row["proofs"] if isinstance(row["proofs"], list) else []
    failed = [each["proof"] for each in proofs if not each["passed"]]
    held = ", ".join(each["proof"] for each in proofs if each["passed"])
    cells = (
        _cell(row["name"]),
        _cell(row["base"]),
        _short_digest(row["digest"]),
        _short_digest(row["before"]),
        _sizes(row),
        f"{kept:.1%}" if isinstance(kept, float) else "",
        _cell(f"failed: {', '.join(failed)}" if failed else held),
    )
    return f"| {' | '.join(cells)} |\n"


def _sizes(row: dict[str, object]) -> str:
    """Return the size of the file; for a merged one, also that of the changed weights before and after."""
    size, before, after = (row[key] for key in ("size", "base_size", "changed_size"))
    text = megabytes(size) if isinstance(size, int) and size else ""
    if isinstance(before, int) and isinstance(after, int) and before:
        text += f", changed weights {megabytes(before)} before, {megabytes(after)} after"
    return text


def _short_digest(digest: object) -> str:
    """Return the start of a digest, as code."""
    digits = re.sub(r"[^0-9a-f]", "", str(digest).rpartition(":")[2])
    return f"`{digits[:12]}`" if digits else ""


def _cell(value: object) -> str:
    """Return a text on one line in which Markdown and HTML find nothing: no link, no mention, no cell."""
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", one_line(hide_passwords(str(value))))


def _block(text: str) -> str:
    """Return a text of several lines as a block of code, which ends where we end it."""
    text = printable(hide_passwords(text))
    fence = "`" * (max((len(found) for found in re.findall("`+", text)), default=0) + 3)
    return f"{fence}text\n{text}\n{fence}"


def _written_before(environment: Mapping[str, str]) -> int:
    """Return how many bytes other commands of a step have written into its summary."""
    try:
        return Path(environment["GITHUB_STEP_SUMMARY"]).stat().st_size
    except (KeyError, OSError, ValueError):
        return 0


def _bounded(text: str, most: int) -> str:
    """Return a text with at most so many bytes, cut at the end of a line; nothing if there is no room."""
    content = text.encode()
    if len(content) <= most:
        return text
    if most <= len(_CUT):
        return ""
    return content[: most - len(_CUT)].rpartition(b"\n")[0].decode() + _CUT
