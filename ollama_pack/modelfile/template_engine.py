"""Jinja's sandbox as templates of Modelfiles use it, and what goes wrong in it as errors of this package.

Jinja is imported inside functions, so that a build without templates and ``--help`` do not load it.
"""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ollama_pack.errors import InputError, UnsupportedError, bullet_list
from ollama_pack.modelfile.quoting import quoted
from ollama_pack.shown import reason_of, words_of

if TYPE_CHECKING:
    from jinja2 import Environment

_COMPILED_AS = "<template>"


def make_environment() -> "Environment":
    """Return a sandbox in which fields are written ``[[ field ]]``, so that Go's ``{{ }}`` passes through."""
    from jinja2 import DictLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[[",
        variable_end_string="]]",
        comment_start_string="[#",
        comment_end_string="#]",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,
        # Without a loader, Jinja raises a TypeError for an include; with an empty one, a TemplateError.
        loader=DictLoader({}),
    )
    environment.filters["quoted"] = quoted
    # The digest of a Modelfile must depend only on the inputs, so nothing random may be filled in.
    del environment.globals["lipsum"], environment.filters["random"]
    return environment


def check_fields(environment: "Environment", text: str, known: set[str], where: str) -> None:
    """Require that a template uses only fields that exist.

    Args:
        environment: what `make_environment` returns.
        text: the template.
        known: the names of the fields.
        where: the name of the template in messages.

    Raises:
        InputError: the template uses other fields; the error names all of them, with their lines.
    """
    from jinja2 import meta, nodes

    tree = environment.parse(text)
    unknown = meta.find_undeclared_variables(tree) - known - set(environment.globals)
    problems = [
        f"line {node.lineno}: {node.name}{_similar_field(node.name, known)}"
        for node in tree.find_all(nodes.Name)
        if node.name in unknown
    ]
    if problems:
        raise InputError(
            bullet_list("The template cannot be filled, because these fields do not exist:", problems),
            where=where,
            hint=f"the fields are {', '.join(sorted(known))}",
        )


def _similar_field(name: str, known: set[str]) -> str:
    """Return, in parentheses, the field whose name is similar, or an empty string."""
    similar = difflib.get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {similar[0]}?)" if similar else ""


@contextmanager
def template_errors(where: str) -> Iterator[None]:
    """Turn what Jinja raises inside the block into errors that name the template and its line.

    Raises:
        InputError: the template is damaged, or cannot be filled.
        UnsupportedError: the template does something that the sandbox does not allow.
    """
    from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError

    try:
        yield
    except TemplateSyntaxError as error:
        line = f"{where}, line {error.lineno}"
        raise InputError(
            f"The template cannot be read: {words_of(str(error.message))}.", where=line
        ) from error
    except SecurityError as error:
        raise UnsupportedError(
            f"A template may only fill in text: {reason_of(error)}.", where=f"{where}{_line_of(error)}"
        ) from error
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"The template cannot be filled: {reason_of(error)}.", where=f"{where}{_line_of(error)}"
        ) from error


def _line_of(error: BaseException) -> str:
    """Return ``, line N`` for the line of the template that raised an error, or an empty string."""
    # Jinja rewrites tracebacks, so that the frames of a template have the line numbers of its text.
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _COMPILED_AS:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f", line {line}" if line else ""
