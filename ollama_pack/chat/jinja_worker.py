"""Fills chat templates in a process of its own, as transformers does. It imports nothing of this package.

Each line of standard input is a JSON object with ``template``, ``values``, ``now``, and ``ascii`` if only
ASCII white space is trimmed and only ASCII letters change their case, as in llama.cpp. Each line of output
is an object with ``text``, or with ``refused`` (the template's own words) or ``fault``. A template is a
stranger's program, so `ollama_pack.jobs.limited_process` starts the process with limits, and its parent ends
it if no line comes.
"""

import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

MOST_WORDS = 2000
"""The number of characters that are kept of a template's own error message."""

_ASCII_SPACES = " \t\n\v\f\r"
_TO_UPPER = str.maketrans({chr(code): chr(code - 32) for code in range(ord("a"), ord("z") + 1)})
_TO_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})

MOST_COMPILED = 8
"""Number of compiled templates that are kept."""

MOST_OUTPUT = 4_000_000
"""Number of characters after which a prompt is given up."""


def make_chat_environment(*, is_ascii: bool = False) -> Any:  # noqa: ANN401 — Jinja is imported inside
    """Return the sandbox of transformers: its tags, filters and globals.

    Args:
        is_ascii: whether texts are trimmed, and their letters changed, as llama.cpp does: in ASCII alone.
    """
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
            """Return the text of a block, for the tag ``generation``."""
            return str(caller())

    environment = (_ascii_sandbox() if is_ascii else ImmutableSandboxedEnvironment)(
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

    if is_ascii:
        environment.filters |= {name: _ASCII_METHODS[name] for name in ("upper", "lower")}
        environment.filters["trim"] = _ASCII_METHODS["strip"]
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    return environment


_ASCII_METHODS: dict[str, Callable[..., str]] = {
    "strip": lambda text, chars=None: str(text).strip(chars or _ASCII_SPACES),
    "lstrip": lambda text, chars=None: str(text).lstrip(chars or _ASCII_SPACES),
    "rstrip": lambda text, chars=None: str(text).rstrip(chars or _ASCII_SPACES),
    "upper": lambda text: str(text).translate(_TO_UPPER),
    "lower": lambda text: str(text).translate(_TO_LOWER),
}
"""Name of a method of Python's ``str`` → what llama.cpp's own Jinja does for it."""


def _ascii_sandbox() -> Any:  # noqa: ANN401 — Jinja is imported inside
    """Return the class of a sandbox in which the methods of texts change ASCII characters only."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class AsciiSandbox(ImmutableSandboxedEnvironment):
        def getattr(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401 — Jinja's own types
            if isinstance(obj, str) and attribute in _ASCII_METHODS:
                return lambda *more: _ASCII_METHODS[attribute](obj, *more)
            return super().getattr(obj, attribute)

    return AsciiSandbox


def _shortened_words(error: Exception) -> str:
    """Return the text of an error, which a template may make as long as it likes."""
    text = str(error)
    return text if len(text) <= MOST_WORDS else f"{text[:MOST_WORDS]}… ({len(text)} characters)"


class Filler:
    """Fills templates, and compiles each once, because two templates are filled in turn."""

    def __init__(self) -> None:
        self.environments = {False: make_chat_environment()}  # at once: the trained template always needs it
        self.compiled: dict[tuple[str, bool], Any] = {}

    def answer(self, asked: dict[str, Any]) -> dict[str, str]:  # noqa: PLR0911 — one for each kind
        """Return ``text``, ``refused`` or ``fault``, with the words for it."""
        import jinja2

        try:
            wanted = asked["template"], bool(asked.get("ascii"))
            if wanted not in self.compiled:
                if len(self.compiled) >= MOST_COMPILED:
                    self.compiled.clear()
                self.compiled[wanted] = self._environment(is_ascii=wanted[1]).from_string(wanted[0])
            return self._filled(self.compiled[wanted], asked)
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

    def _environment(self, *, is_ascii: bool) -> Any:  # noqa: ANN401 — Jinja's own
        """Return Jinja's environment of transformers, or that of llama.cpp for ASCII; each is made once."""
        if is_ascii not in self.environments:
            self.environments[is_ascii] = make_chat_environment(is_ascii=is_ascii)
        return self.environments[is_ascii]

    def _filled(self, template: Any, asked: dict[str, Any]) -> dict[str, str]:  # noqa: ANN401 — Jinja's own
        """Return the ``text`` that a template makes, or a ``fault`` if it is too long."""
        now = datetime.fromisoformat(asked["now"])
        template.environment.globals["strftime_now"] = now.strftime
        parts, length = [], 0
        for part in template.generate(asked["values"]):
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
