"""Lets a daemon answer a prompt that is complete, without its templates."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ollama_pack.formats.untrusted_json import optional
from ollama_pack.ollama.clients import STREAM_SECONDS

if TYPE_CHECKING:
    from ollama_pack.ollama.daemon import Daemon


def say_raw(
    daemon: "Daemon", name: str, prompt: str, options: Mapping[str, Any], hear: Callable[[str], object]
) -> tuple[int, bool]:
    """Pass the pieces of an answer to `hear`; return its number of tokens, and whether the model ended it.

    Args:
        daemon: the daemon.
        name: the name of the model.
        prompt: the text that the model gets, without the begin of text that its tokenizer adds.
        options: PARAMETERs, which override those of the model.
        hear: called with each piece.

    Raises:
        DestinationError: the model does not load, or the daemon does not answer.
    """
    body = {"model": name, "prompt": prompt, "raw": True, "stream": True, "options": dict(options)}
    tokens, ended = 0, False
    with daemon.explained(STREAM_SECONDS, lines=True):
        for part in daemon.lines("/api/generate", body):
            if piece := optional(part, "response", ""):
                hear(piece)
            if part.get("done"):
                tokens, ended = optional(part, "eval_count", 0), part.get("done_reason") == "stop"
    return tokens, ended
