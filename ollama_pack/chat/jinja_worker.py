"""Fills chat templates in a process of its own, as transformers does. It imports nothing of this package.

Each line of standard input is a JSON object with ``template``, ``values`` and ``now``. Each line of output is
one with ``text``, or with ``refused`` (the template's own words) or ``fault``. A template is a stranger's
program, so `ollama_pack.limits` starts the process with limits, and its parent ends it if it does not answer.
"""

import json
import sys
from datetime import datetime
from typing import Any

MOST_WORDS = 2000
"""Number of characters of what a template says itself that are kept."""

MOST_OUTPUT = 4_000_000
"""Number of characters after which a prompt is given up."""


def make_chat_environment() -> Any:  # noqa: ANN401 — Jinja is imported inside
    """Return the sandbox of transformers: its tags, filters and globals."""
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """The tag that marks what an assistant wrote; it changes no text."""

        tags = {"generation"}  # noqa: RUF012 — Jinja reads it

        def parse(self, parser: Any) -> Any:  # noqa: ANN401 — Jinja's own types
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return jinja2.nodes.CallBlock(self.call_method("_written"), [], [], body).set_lineno(line)

        def _written(self, caller: Any) -> str:  # noqa: ANN401 — Jinja's own types
            return str(caller())

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )

    def raise_exception(message: object) -> None:
        raise jinja2.exceptions.TemplateError(f"{message}")

    def tojson(
        value: object,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        return json.dumps(
            value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )

    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    return environment


def _shortened_words(error: Exception) -> str:
    """Return the text of an error, which a template may make as long as it likes."""
    text = str(error)
    return text if len(text) <= MOST_WORDS else f"{text[:MOST_WORDS]}… ({len(text)} characters)"


class Filler:
    """Fills templates, and compiles each only once while it is the same."""

    def __init__(self) -> None:
        self.environment = make_chat_environment()
        self.text: str | None = None
        self.template: Any = None

    def answer(self, asked: dict[str, Any]) -> dict[str, str]:  # noqa: PLR0911 — one for each kind
        """Return ``text``, ``refused`` or ``fault``, with the words for it."""
        import jinja2

        try:
            if asked["template"] != self.text:
                self.template = self.environment.from_string(asked["template"])
                self.text = asked["template"]
            return self._filled(asked)
        except jinja2.exceptions.TemplateSyntaxError as error:
            return {"fault": f"line {error.lineno}: {(error.message or '')[:MOST_WORDS]}"}
        except jinja2.exceptions.UndefinedError as error:
            return {"fault": _shortened_words(error)}
        except jinja2.exceptions.SecurityError as error:
            return {"fault": f"the sandbox forbids it: {_shortened_words(error)}"}
        except jinja2.exceptions.TemplateError as error:
            return {"refused": _shortened_words(error)}
        except (MemoryError, RecursionError):
            return {"fault": "it takes too much memory"}
        except SyntaxError:  # of the Python that Jinja makes: it allows 20 loops in each other
            return {"fault": "it nests too many loops or blocks in each other"}
        except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError) as error:
            return {"fault": f"{type(error).__name__}: {_shortened_words(error)}"}
        except (TypeError, ValueError) as error:
            return {"fault": f"{type(error).__name__}: {_shortened_words(error)}"}

    def _filled(self, asked: dict[str, Any]) -> dict[str, str]:
        now = datetime.fromisoformat(asked["now"])
        self.environment.globals["strftime_now"] = now.strftime
        parts, length = [], 0
        for part in self.template.generate(asked["values"]):
            length += len(part)
            if length > MOST_OUTPUT:
                return {"fault": f"it makes more than {MOST_OUTPUT} characters"}
            parts.append(part)
        return {"text": "".join(parts)}


def answer_lines() -> None:
    """Answer each line of standard input."""
    filler = Filler()
    for line in sys.stdin.buffer:
        answer = json.dumps(filler.answer(json.loads(line)))
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    answer_lines()
