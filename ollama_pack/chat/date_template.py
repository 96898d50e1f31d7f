"""Writes today's date in a Go TEMPLATE, in the forms in which chat templates write it.

Ollama's function ``currentDate`` gives ``2026-01-02``; the names of months are chosen by its digits.
"""

from collections.abc import Mapping
from datetime import date, datetime

_MONTHS = tuple(date(2026, month, 1) for month in range(1, 13))
_YEAR, _DAY = "{{ slice currentDate 0 4 }}", "{{ slice currentDate 8 10 }}"

_PARTS: Mapping[str, str] = {
    "%Y": _YEAR,
    "%m": "{{ slice currentDate 5 7 }}",
    "%d": _DAY,
    "%B": '{{ template "month" slice currentDate 5 7 }}',
    "%b": '{{ template "mon" slice currentDate 5 7 }}',
}
_FORMS = ("%B %d, %Y", "%d %B %Y", "%b %d, %Y", "%d %b %Y", "%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y")


def _names_define(name: str, form: str) -> str:
    """Return the definition that writes the name of a month, by its two digits."""
    cases = [f'if eq . "{month:%m}" }}}}{month.strftime(form)}' for month in _MONTHS]
    return f'{{{{ define "{name}" }}}}{{{{ {"{{ else ".join(cases)}{{{{ end }}}}{{{{ end }}}}'


DATE_DEFINES = _names_define("month", "%B") + _names_define("mon", "%b")
"""The definitions that a text with a date needs."""


def _mark_of(form: str) -> str:
    """Return the text that stands for a form of the date until it is filled."""
    return f"\0{_FORMS.index(form)}\0"


def mark_dates(text: str, now: datetime) -> str:
    r"""Return a text with a mark in the place of today's date; the mark of a form is the same on every day.

    Example:
        >>> mark_dates("Today: 02 Jan 2026.", datetime(2026, 1, 2)) == mark_dates(
        ...     "Today: 03 Jan 2026.", datetime(2026, 1, 3)
        ... )
        True
    """
    for form in _FORMS:
        text = text.replace(now.strftime(form), _mark_of(form))
    return text


def has_dates(text: str) -> bool:
    """Return whether `mark_dates` left a mark in a text."""
    return any(_mark_of(form) in text for form in _FORMS)


def write_dates(text: str) -> str:
    """Return a text of a Go template in which each mark is replaced by actions that write today's date."""
    for form in _FORMS:
        written = form
        for part, go in _PARTS.items():
            written = written.replace(part, go)
        text = text.replace(_mark_of(form), written)
    return text
