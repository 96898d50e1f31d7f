"""The view for people: a line for each stage on stderr, with bars for long steps."""

from ollama_pack.cli.events.event import Event
from ollama_pack.cli.progress import Bars
from ollama_pack.cli.say import say, say_error
from ollama_pack.errors import PackError

STAGE_WIDTH = 10


class Terminal:
    """Prints each stage of a command while it runs.

    Attributes:
        verbose: whether details are printed too.
        quiet: whether nothing but errors is printed.
    """

    def __init__(self, *, verbose: bool = False, quiet: bool = False) -> None:
        self.verbose, self.quiet = verbose, quiet
        self._bars = Bars()

    def see(self, event: Event) -> None:
        """Print what an event says."""
        if event.kind == "error":
            self._bars.close()
            if isinstance(event.value, PackError):
                say_error(event.value)
        elif event.kind == "progress" and not self.quiet:
            self._bars(event.facts["label"], event.facts["done"], event.facts["total"])
        elif event.kind == "stage" and not self.quiet:
            self._stage(event)

    def _stage(self, event: Event) -> None:
        """Print the line of a finished stage and its notes, and with `verbose` its details."""
        facts = event.facts
        self._bars.close()
        say(facts["line"], f"{facts['stage']:<{STAGE_WIDTH}}", level=facts["stage"], err=True)
        details = [{"text": text, "level": ""} for text in facts["details"]] if self.verbose else []
        for note in (*facts["notes"], *details):
            level = note["level"]
            say(note["text"], f"{level:<{STAGE_WIDTH}}", level=level, err=True)
