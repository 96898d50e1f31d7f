"""Checks the values of options, and turns them into what the commands take."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli.settings import SettingsContext, without_keys_of
from ollama_pack.errors import InputError, UsageError
from ollama_pack.pipeline.request import LARGEST_WEIGHT

if TYPE_CHECKING:
    from ollama_pack.ollama.names import ModelName


def split_pairs(
    ctx: click.Context, param: click.Parameter, texts: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Return texts of the form ``KEY=VALUE`` as pairs, split at the first ``=``.

    Keys that were not typed have the values that the environment or the file gives them.
    """
    texts = [*_set_elsewhere(ctx, param, texts), *texts]
    for text in texts:
        if text.find("=") < 1:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE, as in temperature=0.3")
    return tuple((text.partition("=")[0], text.partition("=")[2]) for text in texts)


def _set_elsewhere(ctx: click.Context, param: click.Parameter, typed: Sequence[str]) -> list[str]:
    """Return what the settings give beside what was typed."""
    is_typed = ctx.get_parameter_source(str(param.name)) is click.core.ParameterSource.COMMANDLINE
    found = ctx.setting_of(str(param.name)) if is_typed and isinstance(ctx, SettingsContext) else None
    return without_keys_of(found.value, typed) if found else []


def bounded(_ctx: click.Context, _param: click.Parameter, value: Any) -> Any:
    """Return a number or several numbers, unless one is NaN or too large for a weight."""
    for number in value if isinstance(value, tuple) else (value,):
        if not abs(number) <= LARGEST_WEIGHT:
            raise click.BadParameter(
                f"{number:g} is out of range; the largest absolute value is {LARGEST_WEIGHT:g}"
            )
    return value


def only_one(_ctx: click.Context, _param: click.Parameter, texts: Sequence[str]) -> str:
    """Return the value, or an empty string if the option is not given; reject a repeated option."""
    if len(texts) > 1:
        raise click.BadParameter(
            "the option is given more than once; give the directory of each adapter instead"
        )
    return texts[0] if texts else ""


def known_name(_ctx: click.Context, _param: click.Parameter, text: str) -> "ModelName":
    """Return the name of an existing model; unlike `parse_name`, suggest no corrected name in the error."""
    from ollama_pack.ollama.names import parse_name

    try:
        return parse_name(text)
    except InputError as error:
        raise UsageError(error.what, code=error.code) from error


def not_empty(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str:
    """Return the value, or an empty string if the option is not given.

    An empty value is rejected, because it is an unset variable in a script.
    """
    if text is not None and not text.strip():
        raise click.BadParameter("the value is empty; give a value, or leave the option out")
    return (text or "").strip()


_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def byte_count(_ctx: click.Context, _param: click.Parameter, text: str | None) -> int | None:
    """Return the bytes that a size such as ``4.4GB``, ``900M`` or ``4GiB`` stands for; None without one."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?) ?([KMGT]?)(I?)B?", text.strip().upper())
    if not found or (found[3] and not found[2]):
        raise click.BadParameter(f"{text!r} is not a size, as in 4.4GB or 900MB")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** _UNITS[found[2]])
