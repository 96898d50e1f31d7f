"""docs/decisions.md: each decision has a date, a title and a status, and what it names exists."""

import re
from datetime import date

import pytest
from papers import ROOT, exists, paths_of, spans_of, wrong_options

PAGE = (ROOT / "docs" / "decisions.md").read_text("utf-8")
HEAD, *SECTIONS = re.split(r"^## ", PAGE, flags=re.M)
MOST_LINES = 10


def parts_of(section):
    """Return date, title, status and text of a decision."""
    heading, _, text = section.partition("\n")
    when, _, title = heading.partition(" · ")
    status, _, body = text.strip().partition("\n")
    return when, title, status, body.strip()


DECISIONS = [parts_of(section) for section in SECTIONS]
TITLES = [title for _, title, _, _ in DECISIONS]
SUPERSEDED = re.compile(r'Status: superseded by "(.+)"\.')

each_decision = pytest.mark.parametrize(("when", "title", "status", "body"), DECISIONS, ids=TITLES)


@each_decision
def test_a_decision_is_whole(when, title, status, body):
    """A decision has a date, a title, a status and a text that is short."""
    assert date.fromisoformat(when) >= date(2026, 11, 22)
    assert title
    assert status == "Status: holds." or SUPERSEDED.fullmatch(status)
    assert 1 <= len(body.splitlines()) <= MOST_LINES


@each_decision
def test_a_decision_names_what_exists(when, title, status, body):
    """Every path and option that a decision names exists, unless something else was decided since."""
    if status != "Status: holds.":
        return
    assert [path for path in paths_of(f"{title}\n{body}") if not exists(path)] == []
    assert wrong_options(spans_of(body)) == []


def test_headings_stand_apart():
    """An empty line stands before each heading, which Markdown's readers need to see one."""
    assert len(re.findall(r"\n\n## ", PAGE)) == len(DECISIONS)


def test_decisions_are_in_order():
    """The newest decision comes first, and no two have one title."""
    dates = [when for when, _, _, _ in DECISIONS]
    assert len(dates) > 30
    assert dates == sorted(dates, reverse=True)
    assert len(set(TITLES)) == len(TITLES)


def test_what_supersedes_is_a_newer_decision():
    """A decision is superseded by one that stands above it and holds."""
    found = 0
    for place, (_, _, status, _) in enumerate(DECISIONS):
        if match := SUPERSEDED.fullmatch(status):
            found += 1
            newer = TITLES.index(match[1])
            assert newer < place
            assert DECISIONS[newer][2] == "Status: holds."
    assert found


POINTER = re.compile(r'decisions\.md[,:(]? ?\(?"([^"]{5,90})"|"([^"]{5,90})" in `{0,2}docs/decisions\.md')


def test_the_code_points_to_decisions_that_exist():
    """Each title that the code quotes is that of a decision."""
    texts = [path.read_text("utf-8") for path in (ROOT / "ollama_pack").rglob("*.py")]
    quoted = {
        one or other
        for text in texts
        for one, other in POINTER.findall(re.sub(r"\s*\n\s*(?:# ?)?", " ", text))
    }
    assert len(quoted) > 15
    assert quoted - set(TITLES) == set()
