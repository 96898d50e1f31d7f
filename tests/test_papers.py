"""The project's papers, read: what they name exists, and the version is the same everywhere."""

import re

import pytest
from papers import (
    ROOT,
    code_of,
    exists,
    links_of,
    paths_of,
    spans_of,
    wrong_calls,
    wrong_options,
    wrong_targets,
)

from ollama_pack import __version__

PAPERS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in (
        "*.md",
        ".github/*.md",
        "bench/*.md",
        "docs/*.md",
        "examples/*.md",
        "examples/*/README.md",
    )
    for path in ROOT.glob(pattern)
)
"""Every page of the project that people read."""

HISTORY = {"CHANGELOG.md", "docs/decisions.md"}
"""Pages that also name what is gone; tests/test_decisions.py reads the decisions that hold."""

GENERATED = {"docs/api.md", "docs/archs.md"}
"""Pages of which a program breaks no line."""

CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")

each_paper = pytest.mark.parametrize("name", PAPERS)
each_of_today = pytest.mark.parametrize("name", sorted(set(PAPERS) - HISTORY))


@each_of_today
def test_paths_of_a_paper_exist(name):
    """Every path in backticks, and every link inside the project, leads to something."""
    text = (ROOT / name).read_text("utf-8")
    missing = [path for path in paths_of(text) if not exists(path)]
    beside = [
        link
        for link in links_of(text)
        if not (ROOT / link).exists() and not (ROOT / name).parent.joinpath(link).exists()
    ]
    assert missing + beside == [], f"{name} names what is not there"


@each_of_today
def test_calls_of_a_paper_work(name):
    """Every command, option and target of make that a paper shows exists."""
    lines = code_of((ROOT / name).read_text("utf-8"))
    assert list(wrong_calls(lines)) == []
    assert wrong_options(lines) == []
    assert wrong_targets(lines) == set()


def test_what_is_wrong_is_found():
    """A path, a command, an option and a target that do not exist are found, in spans and in blocks."""
    text = (
        "`lora/fates.py` `placing.py` `config.json` `ollama-pack built`\n```\n$ make tests\n```\n`--basis X`"
    )
    assert [path for path in paths_of(text) if not exists(path)] == ["lora/fates.py", "placing.py"]
    assert list(wrong_calls([*code_of(text), "$ ollama-pack build X --vai create"])) == [
        "ollama-pack built",
        "$ ollama-pack build X --vai create",
    ]
    assert wrong_options(spans_of(text)) == ["--basis X"]
    assert wrong_targets(code_of(text)) == {"tests"}


def test_the_version_is_the_same_everywhere():
    """The package, pyproject.toml and the newest section of the changelog have one version."""
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    written = re.search(r'^version = "([^"]+)"$', pyproject, re.M)
    sections = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", CHANGELOG, re.M)
    assert written[1] == __version__ == sections[0]


def test_the_changelog_is_in_order():
    """Unreleased comes first, then every release from new to old; each heading has its link."""
    headings = re.findall(r"^## (.*)$", CHANGELOG, re.M)
    assert headings[0] == "[Unreleased]"
    dates = [heading.partition(" - ")[2] for heading in headings[1:]]
    assert dates
    assert dates == sorted(dates, reverse=True)
    linked = re.findall(r"^\[([^]]+)\]: https://github\.com/ollama-pack/ollama-pack/", CHANGELOG, re.M)
    assert linked == [re.match(r"\[([^]]+)\]", heading)[1] for heading in headings]


@each_paper
def test_links_to_headings_lead_there(name):
    """A link to a part of a page names a heading that this page has, as GitHub spells it."""
    text = (ROOT / name).read_text("utf-8")
    for page, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", text):
        there = (ROOT / name).parent / page if page else ROOT / name
        headings = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.M)
        spelled = {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
        assert heading in spelled, f"{name} links to a part of {page or name} that is not there"


@each_paper
def test_rows_of_a_table_have_its_cells(name):
    """A row has as many cells as the head of its table: a bar inside a cell is escaped."""
    outside = re.sub(r"^ *```.*?^ *```", "", (ROOT / name).read_text("utf-8"), flags=re.M | re.S)
    for table in re.findall(r"(?:^\|.*\n)+", outside, re.M):
        bars = [len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()]
        assert set(bars) == {bars[0]}, f"{name}: a row of the table {table.splitlines()[0]}"


def test_links_of_the_readme_work_at_the_package_index():
    """The README is also the page at the package index, where only whole addresses lead somewhere."""
    text = (ROOT / "README.md").read_text("utf-8")
    assert links_of(text) == []
    defined = dict(
        re.findall(r"^\[([^]]+)\]: https://github\.com/ollama-pack/ollama-pack/blob/main/(.+)$", text, re.M)
    )
    outside = re.sub(r"^ *```.*?^ *```|`[^`]*`", "", text, flags=re.M | re.S)
    used = set(re.findall(r"\]\[([^]]+)\]", outside)) | set(
        re.findall(r"(?<!\])\[([^]]+)\](?![\[:(])", outside)
    )
    assert used == defined.keys()
    for label, target in defined.items():
        path, _, heading = target.partition("#")
        assert label == target
        assert (ROOT / path).is_file()
        assert not heading or f"## {heading.capitalize()}\n" in (ROOT / path).read_text("utf-8")


@each_paper
def test_lines_of_a_paper_are_finished(name):
    """No placeholder is left, and no line of prose is longer than a screen."""
    text = (ROOT / name).read_text("utf-8")
    assert re.findall(r"\b(?:TODO|FIXME|XXX|TBD)\b", text) == []
    if name not in GENERATED:
        prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S).splitlines()
        assert [line for line in prose if len(line) > 130 and not line.startswith(("|", " "))] == []
