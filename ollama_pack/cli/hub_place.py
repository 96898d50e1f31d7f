"""``push DIR hf://…``: a release as a commit on the Hugging Face Hub."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ollama_pack.cli.say import say

if TYPE_CHECKING:
    from ollama_pack.cli.output import Console
    from ollama_pack.hub.push import HubCommit
    from ollama_pack.registry.shipment import PushPlan


def push_to_repository(directory: Path, place: str, console: "Console") -> dict[str, Any]:
    """Push a release to a repository on the Hub, and return the JSON object of what is there."""
    from ollama_pack.hub.client import parse_hub_reference
    from ollama_pack.pipeline.release.push_hub import push_release_to_hub
    from ollama_pack.pipeline.request import Request

    reference = parse_hub_reference(place)
    pushed = push_release_to_hub(
        Request(directory=directory), reference, console.stage_done, console.progress
    )
    facts = hub_facts(pushed)
    console.made("hub", facts)
    if not console.for_programs:
        console.stage_done("run", pushed.address)
        say(pushed.place)
    return facts


def plan_repository(directory: Path, place: str, console: "Console") -> "PushPlan":
    """Return what a push of a release to a repository on the Hub would move and replace."""
    from ollama_pack.hub.client import parse_hub_reference
    from ollama_pack.pipeline.release.push_hub import plan_push_to_hub
    from ollama_pack.pipeline.request import Request

    asked = Request(directory=directory)
    return plan_push_to_hub(asked, parse_hub_reference(place), console.stage_done, console.progress)


def hub_facts(pushed: "HubCommit") -> dict[str, Any]:
    """Return the JSON object of a release on the Hub."""
    return {
        "place": pushed.place,
        "address": pushed.address,
        "files": list(pushed.files),
        "removed": list(pushed.removed),
    }
