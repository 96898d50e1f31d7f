"""Find a Modelfile template, fill it, and bring it together with what the author wrote.

A template is a Modelfile with fields in it: Jinja2 with ``[[ field ]]``, ``[% if field %]`` and
``[# remark #]``, so that Go's ``{{ }}`` passes through. `Fields` lists the fields; the filter
``quoted`` spells a value as a Modelfile needs it. Templates run in Jinja's sandbox.
"""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.errors import InputError, UnsupportedError, bullet_list
from ollama_pack.modelfile.editing import with_command, without_command, without_comment
from ollama_pack.modelfile.parameters import text_error
from ollama_pack.modelfile.parser import parse
from ollama_pack.modelfile.quoting import decode, quoted
from ollama_pack.modelfile.syntax import Modelfile

if TYPE_CHECKING:
    from jinja2 import Environment


SUFFIX = ".Modelfile"
DEFAULT = "inherit"
_COMPILED_AS = "<template>"
_FLAT = str.maketrans("\r\n", "  ")


@dataclass(frozen=True, slots=True)
class Template:
    """A template, not filled yet.

    Attributes:
        name: how the user called it.
        where: what error messages call it.
        text: its content.
    """

    name: str
    where: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFields:
    """What a template can be filled with; an empty text means that there is nothing to say.

    Attributes:
        base: behind FROM: a model name or the path of a GGUF file.
        adapter: behind ADAPTER; empty for a model without a separate adapter.
        system: the system prompt.
        parameters: key and value of PARAMETERs, in order; ``[[ parameters ]]`` prints them as lines.
        name: of the model that is made.
    """

    base: str = ""
    adapter: str = ""
    system: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    name: str = ""


def template_names() -> tuple[str, ...]:
    """Return the names of the templates that come with the package, sorted."""
    return tuple(sorted(path.name.removesuffix(SUFFIX) for path in _folder().glob(f"*{SUFFIX}")))


def find_template(name_or_path: str) -> Template:
    """Return the template of that name, else the one in that file.

    A name without a directory means a shipped template first; ``./vicuna`` is always a file.

    Raises:
        InputError: there is neither, or the file is not text.
    """
    if name_or_path in template_names():
        path, where = _folder() / f"{name_or_path}{SUFFIX}", f"{name_or_path}{SUFFIX}"
    else:
        path, where = Path(name_or_path), name_or_path
    try:
        return Template(name_or_path, where, decode(path.read_bytes(), where))
    except (OSError, ValueError) as error:
        near = difflib.get_close_matches(name_or_path.lower(), template_names(), n=1)
        raise InputError(
            f"There is no template {name_or_path!r}, and no file of that name can be read.",
            where=f"templates: {', '.join(template_names())}",
            hint=f"--template {near[0] if near else DEFAULT}",
        ) from error


def fill_template(template: Template, filled: TemplateFields) -> str:
    """Return the text of the Modelfile that `template` makes of these fields.

    Raises:
        InputError: the template is damaged, or uses fields that do not exist.
        UnsupportedError: it does what a template may not do, or a value cannot stand in a Modelfile.
    """
    environment = _environment()
    with _explained(template):
        _check_fields(template, environment)
        values = {field.name: getattr(filled, field.name) for field in fields(TemplateFields)}
        values["parameters"] = _Lines(filled.parameters)
        return environment.from_string(template.text).render(values)


def compose_modelfile(
    author: Modelfile | None, template: Template, filled: TemplateFields, *, chosen: bool = False
) -> Modelfile:
    """Return the Modelfile of a package.

    It starts from the author's Modelfile, or from the filled template where there is none. Every line of
    it stays, and only this is set: FROM, SYSTEM and PARAMETERs where `filled` has them, ADAPTER (removed
    where `filled` has none), and TEMPLATE and the ``stop`` PARAMETERs where the template brings a
    TEMPLATE. What a shipped template left there goes with its TEMPLATE: its heading and its ``stop``s.
    Composing the result again with the same template and fields changes nothing.

    Args:
        author: the author's Modelfile, if there is one.
        template: what to fill.
        filled: with what.
        chosen: the user named this template; ``inherit`` then removes the TEMPLATE of a shipped one.

    Raises:
        InputError: no base anywhere, a damaged template, an unknown parameter or a value of the wrong type.
        UnsupportedError: a Modelfile cannot carry a value.
    """
    _check_values(author, filled)
    base = filled.base or (author.value("FROM") if author else "")
    made = _modelfile_of(template, replace(filled, base=base))
    result = _vacated(author, made, chosen=chosen and template.name == DEFAULT) if author else made
    if made.value("TEMPLATE"):
        result = with_command(result, "TEMPLATE", made.value("TEMPLATE"))
        for stop in made.values("PARAMETER", "stop"):
            result = with_command(result, "PARAMETER", stop, key="stop")
    # A template of the user's own need not have a place for everything that must be said.
    for name, value in (("FROM", filled.base), ("SYSTEM", filled.system), ("ADAPTER", filled.adapter)):
        result = with_command(result, name, value) if value else result
    for key, value in filled.parameters:
        result = with_command(result, "PARAMETER", value, key=key)
    return result if filled.adapter else without_command(result, "ADAPTER")


class _Lines(tuple[tuple[str, str], ...]):
    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(f"PARAMETER {key} {quoted(value, where=f'PARAMETER {key}')}" for key, value in self)


def _modelfile_of(template: Template, filled: TemplateFields) -> Modelfile:
    made = fill_template(template, filled)
    flat = TemplateFields(
        **{name: getattr(filled, name).translate(_FLAT) for name in ("base", "adapter", "system", "name")},
        parameters=tuple((key, value.translate(_FLAT)) for key, value in filled.parameters),
    )
    # A line end in a value must not become one of the Modelfile: what follows it would be a command.
    for name in (field.name for field in fields(TemplateFields)):
        value = getattr(filled, name)
        if value == getattr(flat, name):
            continue
        if _shape(fill_template(template, replace(flat, **{name: value}))) != _shape(
            fill_template(template, flat)
        ):
            raise InputError(
                f"The field {name} has several lines here, and the template puts no quotes around them.",
                where=template.where,
                hint="[[ value|quoted ]]" if name == "parameters" else f"[[ {name}|quoted ]]",
            )
    return parse(made, where=template.where)


def _shape(text: str) -> list[tuple[str, str]] | None:
    try:
        return [(found.name, found.key) for found in parse(text, where="").commands]
    except InputError:
        return None


def _vacated(author: Modelfile, made: Modelfile, *, chosen: bool) -> Modelfile:
    old, new = (found.value("TEMPLATE").replace("\r\n", "\n") for found in (author, made))
    if old == new or not (new or chosen):
        return author
    for name in template_names():
        shipped = find_template(name)
        brought = parse(fill_template(shipped, TemplateFields(base="x")), where=shipped.where)
        if brought.value("TEMPLATE") != old:
            continue
        author = without_comment(author, shipped.text.partition("\n")[0])
        author = author if new else without_command(author, "TEMPLATE")
        for stop in set(brought.values("PARAMETER", "stop")) - set(made.values("PARAMETER", "stop")):
            author = without_command(author, "PARAMETER", key="stop", value=stop)
    return author


def _folder() -> Path:
    # The wheel has the templates inside the package, a checkout beside it.
    package = Path(__file__).parent.parent
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent / "templates"


def _environment() -> "Environment":
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
        # Without a loader, an include is a TypeError of Jinja's own.
        loader=DictLoader({}),
    )
    environment.filters["quoted"] = quoted
    # Random text has no place in a file whose digest must not change.
    del environment.globals["lipsum"], environment.filters["random"]
    return environment


def _check_fields(template: Template, environment: "Environment") -> None:
    from jinja2 import meta, nodes

    tree = environment.parse(template.text)
    known = {field.name for field in fields(TemplateFields)}
    unknown = meta.find_undeclared_variables(tree) - known - set(environment.globals)
    problems = [
        f"line {node.lineno}: {node.name}{_similar_field(node.name, known)}"
        for node in tree.find_all(nodes.Name)
        if node.name in unknown
    ]
    if problems:
        raise InputError(
            bullet_list("A template cannot be filled; these fields do not exist:", problems),
            where=template.where,
            hint=f"the fields are {', '.join(sorted(known))}",
        )


def _similar_field(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _check_values(author: Modelfile | None, filled: TemplateFields) -> None:
    if not filled.base and not (author and author.value("FROM")):
        raise InputError(
            "Nothing says which base model this adapter belongs to.",
            where=author.where if author else "",
            hint="--base NAME, or a line FROM NAME in Modelfile.txt",
        )
    problems = [found for key, value in filled.parameters if (found := text_error(key, value))]
    if problems:
        raise InputError(
            bullet_list("These parameters cannot be set:", problems), where="the parameters given"
        )


@contextmanager
def _explained(template: Template) -> Iterator[None]:
    from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError

    try:
        yield
    except TemplateSyntaxError as error:
        where = f"{template.where}, line {error.lineno}"
        raise InputError(f"The template cannot be read: {error.message}.", where=where) from error
    except SecurityError as error:
        raise UnsupportedError(
            f"A template may only fill in text: {error}.", where=f"{template.where}{_line_of(error)}"
        ) from error
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"The template cannot be filled: {error}.", where=f"{template.where}{_line_of(error)}"
        ) from error


def _line_of(error: BaseException) -> str:
    # Jinja rewrites tracebacks so that its frames have the template's own line numbers.
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _COMPILED_AS:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f", line {line}" if line else ""
