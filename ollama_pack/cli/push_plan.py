"""What ``push --dry-run`` prints: what would be moved and replaced, with bytes."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ollama_pack.cli.say import say
from ollama_pack.disk.files import megabytes

if TYPE_CHECKING:
    from ollama_pack.cli.output import Console
    from ollama_pack.registry.shipment import PlannedBlob, PlannedTag, PushPlan


def told_plan(plan: "PushPlan", console: "Console") -> dict[str, Any]:
    """Print the plan of a push, and return its JSON object."""
    facts = {**asdict(plan), "bytes": plan.bytes}
    console.made("push_plan", facts)
    if console.for_programs:
        return facts
    for each in plan.blobs:
        say(_told_blob(each), f"{megabytes(each.bytes) if each.state == 'upload' else each.state:>12}  ")
    for name in plan.removed:
        say(f"{name} of an earlier release", f"{'remove':>12}  ")
    for tag in plan.tags:
        say(*_told_tag(tag))
    say(f"to send to {plan.place}", f"{megabytes(plan.bytes):>12}  ")
    return facts


def _told_blob(blob: "PlannedBlob") -> str:
    """Return the text about a blob; its state stands before it."""
    if blob.source:
        return f"{blob.name}, {megabytes(blob.size)}, from {blob.source}"
    rest = f", the rest of {megabytes(blob.size)}" if 0 < blob.bytes < blob.size else ""
    return f"{blob.name}{rest or f', {megabytes(blob.size)}' * (blob.state == 'present')}"


def _told_tag(tag: "PlannedTag") -> tuple[str, str]:
    """Return the line of a tag, and what becomes of it."""
    if not tag.before:
        return tag.name, f"{'new tag':>12}  "
    if tag.before == tag.digest:
        return f"{tag.name}, which names {tag.digest}", f"{'same tag':>12}  "
    return f"{tag.name}, which names {tag.before} now", f"{'replace':>12}  "
