"""Every hint of the package is in hints.tsv: module, function, text, and the test that does what it says.

Where no test can do it, the last column says why, in one of the words of `UNFOLLOWED`. ``told:`` before a
test says that the test requires the words only, because what they name is outside of this package.
"""

import ast
import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "ollama_pack"
TABLE = Path(__file__).with_name("hints.tsv")
UNFOLLOWED = {
    "passed on": "the hint of another error, whose row is followed",
    "rules": "the hints of the rules, which test_rule_hints.py follows",
    "report": "asks to report a fault of this package",
    "explains": "says what is so; there is nothing to type",
    "elsewhere": "needs a machine, a permission or a program that no test has",
    "retry": "says to do the same again, later or with the file downloaded again",
    "training": "begins with another training or saving",
    "guard": "guards against what no input is known to reach",
}
"""Why a hint has no test that follows it: the word in hints.tsv, and what it means."""


def text_of(node: ast.expr) -> str:
    """Return a hint as the source has it, on one line, with … for each value that is put in."""
    if isinstance(node, ast.Constant):
        return str(node.value).replace("\n", " ")
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return re.sub(r"\s+", " ", ast.unparse(node))


class Hints(ast.NodeVisitor):
    """Collects the hints of a module, and the fixes of `doctor`: function, text."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.found: set[tuple[str, str]] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Visit what is in a function."""
        self.inside.append(node.name)
        self.generic_visit(node)
        self.inside.pop()

    def visit_Call(self, node: ast.Call) -> None:
        """Keep the hint of an error, and the last argument of a finding."""
        hints = [word.value for word in node.keywords if word.arg in ("hint", "fix")]
        if getattr(node.func, "id", "") == "Finding":
            hints.extend(node.args[3:])
        self.found |= {(".".join(self.inside), text_of(hint)) for hint in hints}
        self.generic_visit(node)


def hints_of_the_source() -> Iterator[tuple[str, str, str]]:
    """Yield module, function and text of each hint in the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        hints = Hints()
        hints.visit(ast.parse(path.read_text("utf-8")))
        for function, text in sorted(hints.found):
            yield path.relative_to(PACKAGE).as_posix(), function, text


ROWS = list(csv.reader(TABLE.read_text("utf-8").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))


def test_every_hint_has_a_row():
    """A hint that is new, or says something else now, is followed by a test before it is in the table."""
    listed = {tuple(row[:3]) for row in ROWS}
    there = set(hints_of_the_source())
    assert sorted(there - listed) == [], "follow these in a test, and name it in tests/cli/hints.tsv"
    assert sorted(listed - there) == [], "no such hint any more: take the row out"
    assert sorted(ROWS) == ROWS
    assert len(ROWS) == len(listed)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}-{row[2][:30]}")
def test_the_test_of_a_row_exists(row):
    """The last column is a test, or the reason why none can follow the hint."""
    where = row[3].removeprefix("told:")
    if "::" not in where:
        assert where in UNFOLLOWED
        return
    path, name = where.split("::")
    assert re.search(rf"^def {name}\(", (ROOT / "tests" / path).read_text("utf-8"), re.MULTILINE), where
