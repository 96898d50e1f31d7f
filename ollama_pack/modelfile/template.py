"""Finds and fills Modelfile templates, and combines the result with the author's Modelfile.

A template is a Modelfile with fields: Jinja2 with ``[[ field ]]``, ``[% if field %]`` and ``[# comment #]``,
so that Go's ``{{ }}`` passes through. `TemplateFields` lists the fields; the filter ``quoted`` puts quotes
around a value where a Modelfile needs them. ``[[ trim ]]`` defines a function that Go lacks: with it in
front, ``{{ template "trim" .Content }}`` strips white space. Templates run in Jinja's sandbox.
"""

import difflib
from dataclasses import dataclass, fields, replace
from pathlib import Path

from ollama_pack.chat.trim_template import TRIM_DEFINE
from ollama_pack.disk.files import read_small
from ollama_pack.errors import InputError, UsageError, bullet_list
from ollama_pack.modelfile import LARGEST_MODELFILE
from ollama_pack.modelfile.editing import with_added, with_command, without_command, without_comment
from ollama_pack.modelfile.parameters import text_error
from ollama_pack.modelfile.parser import parse
from ollama_pack.modelfile.quoting import decode, quoted
from ollama_pack.modelfile.syntax import Modelfile
from ollama_pack.modelfile.template_engine import check_fields, make_environment, template_errors

SUFFIX = ".Modelfile"
DEFAULT = "inherit"
_LINE_ENDS_TO_SPACES = str.maketrans("\r\n", "  ")


@dataclass(frozen=True, slots=True)
class Template:
    """A template that is not filled yet.

    Attributes:
        name: the name or path that the user gave.
        where: the name of the template in messages.
        text: the content of the template.
    """

    name: str
    where: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFields:
    """The values that a template is filled with.

    Attributes:
        base: the value of FROM: a model name or the path of a GGUF file.
        adapter: the value of ADAPTER, or an empty string for a model without a separate adapter.
        system: the system prompt; empty to remove that of the base, None if none is given.
        parameters: keys and values of PARAMETERs, in order; ``[[ parameters ]]`` prints them as lines.
        name: the name of the model that is built.
    """

    base: str = ""
    adapter: str = ""
    system: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    name: str = ""


def template_names() -> tuple[str, ...]:
    """Return the names of the templates that are shipped with the package, sorted."""
    return tuple(sorted(path.name.removesuffix(SUFFIX) for path in _folder().glob(f"*{SUFFIX}")))


def find_template(name_or_path: str) -> Template:
    """Return the shipped template of a name, or else the template in the file of that path.

    To use a file that has the name of a shipped template, write its directory, too: ``./vicuna``.

    Raises:
        InputError: there is neither such a template nor such a file, or the file is not text.
    """
    if name_or_path in template_names():
        path, where = _folder() / f"{name_or_path}{SUFFIX}", f"{name_or_path}{SUFFIX}"
    else:
        path, where = Path(name_or_path), name_or_path
    try:
        return Template(name_or_path, where, decode(read_small(path, LARGEST_MODELFILE), where))
    except (OSError, ValueError) as error:
        similar = difflib.get_close_matches(name_or_path.lower(), template_names(), n=1)
        raise UsageError(
            f"There is no template {name_or_path!r}, and no file of that name can be read.",
            where=f"templates: {', '.join(template_names())}",
            hint=f"--template {similar[0] if similar else DEFAULT}",
            code="no-such-template",
        ) from error


def fill_template(template: Template, filled: TemplateFields) -> str:
    """Return the text of `template` filled with these values.

    Raises:
        InputError: the template is damaged, or uses fields that do not exist.
        UnsupportedError: the sandbox does not allow what the template does, or a Modelfile cannot carry a
            value.
    """
    environment = make_environment()
    with template_errors(template.where):
        names = {field.name for field in fields(TemplateFields)}
        check_fields(environment, template.text, {*names, "trim"}, template.where)
        values = {"trim": TRIM_DEFINE, **{name: getattr(filled, name) or "" for name in names}}
        values["parameters"] = _ParameterLines(filled.parameters)
        return environment.from_string(template.text).render(values)


def compose_modelfile(
    author: Modelfile | None, template: Template, filled: TemplateFields, *, chosen: bool = False
) -> Modelfile:
    """Return the Modelfile of a model: the author's, completed, or the filled template if there is none.

    Every line of the author's Modelfile is kept, except these:

    - FROM, SYSTEM and PARAMETERs are set if `filled` has a value for them. An empty SYSTEM is a value.
    - ADAPTER is set if `filled` has one, and removed otherwise.
    - TEMPLATE and ``PARAMETER stop`` are set if the template has a TEMPLATE. If the old TEMPLATE came from a
      shipped template, the heading and the ``stop`` values of that template are removed with it. The system
      prompt of the base belongs to the TEMPLATE that a named template replaces, so it is removed, too.

    Composing the result again with the same template and values changes nothing.

    Args:
        author: the author's Modelfile, or None.
        template: the template to fill.
        filled: the values to fill it with.
        chosen: whether the user named this template. If so, ``inherit`` removes the author's TEMPLATE.

    Raises:
        InputError: no base is given, the template is damaged, a parameter is unknown, or a value has the
            wrong type.
        UnsupportedError: a Modelfile cannot carry a value.
    """
    _check_values(author, filled)
    base = filled.base or (author.value("FROM") if author else "")
    # `inherit` has no TEMPLATE, so it adds nothing to a Modelfile that is there. Jinja stays unloaded then.
    adds = author is None or template.name != DEFAULT
    made = _modelfile_of(template, replace(filled, base=base)) if adds else Modelfile((), template.where)
    removes = chosen and template.name == DEFAULT
    result = _without_shipped(author, made, removes=removes) if author else made
    if made.value("TEMPLATE"):
        result = with_command(result, "TEMPLATE", made.value("TEMPLATE"))
        result = with_added(result, "PARAMETER", made.values("PARAMETER", "stop"), key="stop")
    elif removes:
        result = without_command(result, "TEMPLATE")
    # A template of the user need not have a field for every value, so the values are set as commands, too.
    for name, value in (("FROM", filled.base), ("ADAPTER", filled.adapter)):
        result = with_command(result, name, value) if value else result
    if filled.system is not None:
        result = with_command(result, "SYSTEM", filled.system)
    elif chosen and made.value("TEMPLATE") and not result.values("SYSTEM"):
        result = with_command(result, "SYSTEM", "")
    for key, value in filled.parameters:
        result = with_command(result, "PARAMETER", value, key=key)
    return result if filled.adapter else without_command(result, "ADAPTER")


class _ParameterLines(tuple[tuple[str, str], ...]):
    """Keys and values that a template can loop over, or print as PARAMETER lines."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(f"PARAMETER {key} {quoted(value, where=f'PARAMETER {key}')}" for key, value in self)


def _modelfile_of(template: Template, filled: TemplateFields) -> Modelfile:
    """Return the filled template as a Modelfile in which no value has become a command.

    A line end in a value that the template does not quote would start a new command. So each value with
    several lines must give the same commands as the same value on one line.
    """
    made = fill_template(template, filled)
    names = ("base", "adapter", "system", "name")
    flat = TemplateFields(
        **{name: (getattr(filled, name) or "").translate(_LINE_ENDS_TO_SPACES) for name in names},
        parameters=tuple((key, value.translate(_LINE_ENDS_TO_SPACES)) for key, value in filled.parameters),
    )
    for name in (field.name for field in fields(TemplateFields)):
        value = getattr(filled, name) or ""
        if value == (getattr(flat, name) or ""):
            continue
        multiline = fill_template(template, replace(flat, **{name: getattr(filled, name)}))
        if _command_names(multiline) != _command_names(fill_template(template, flat)):
            raise InputError(
                f"The field {name} has several lines, but the template does not put it in quotes.",
                where=template.where,
                hint="[[ value|quoted ]]" if name == "parameters" else f"[[ {name}|quoted ]]",
            )
    return parse(made, where=template.where)


def _command_names(text: str) -> list[tuple[str, str]] | None:
    """Return the name and key of each command in a text, or None if the text is not a Modelfile."""
    try:
        return [(command.name, command.key) for command in parse(text, where="").commands]
    except InputError:
        return None


def _without_shipped(author: Modelfile, made: Modelfile, *, removes: bool) -> Modelfile:
    """Return the author's Modelfile without what an earlier shipped template left in it.

    Args:
        author: the author's Modelfile.
        made: the filled new template.
        removes: whether to remove a shipped TEMPLATE even if the new template has none.
    """
    old, new = (modelfile.value("TEMPLATE").replace("\r\n", "\n") for modelfile in (author, made))
    if old == new or not (new or removes):
        return author
    for name in template_names():
        shipped = find_template(name)
        earlier = parse(fill_template(shipped, TemplateFields(base="x")), where=shipped.where)
        if earlier.value("TEMPLATE") != old:
            continue
        author = without_comment(author, shipped.text.partition("\n")[0])
        author = author if new else without_command(author, "TEMPLATE")
        for stop in set(earlier.values("PARAMETER", "stop")) - set(made.values("PARAMETER", "stop")):
            author = without_command(author, "PARAMETER", key="stop", value=stop)
    return author


def _folder() -> Path:
    """Return the directory of the shipped templates, which a wheel has inside the package."""
    package = Path(__file__).parent.parent
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent / "templates"


def _check_values(author: Modelfile | None, filled: TemplateFields) -> None:
    """Raise InputError if no base is given, or if a parameter has a value that Ollama would reject."""
    if not filled.base and not (author and author.value("FROM")):
        raise UsageError(
            "Nothing says which base model this adapter belongs to.",
            where=author.where if author else "",
            hint="--base NAME, or a line FROM NAME in Modelfile.txt",
            code="base-not-named",
        )
    problems = [fault for key, value in filled.parameters if (fault := text_error(key, value))]
    if problems:
        raise UsageError(
            bullet_list("Some parameters cannot be set:", problems), where="--parameter", code="bad-parameter"
        )
