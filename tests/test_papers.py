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

PAPERS = (
    *("CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", ".github/PULL_REQUEST_TEMPLATE.md"),
    *(
        "docs/architecture.md",
        "docs/releasing.md",
        "docs/base.md",
        "docs/delivery.md",
        "docs/fleet.md",
        "docs/release.md",
        "docs/ci.md",
    ),
)
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")

each_paper = pytest.mark.parametrize("name", PAPERS)


@each_paper
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


@each_paper
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


@pytest.mark.parametrize("name", [*PAPERS[:-2], "CHANGELOG.md", "docs/decisions.md"])
def test_lines_of_a_paper_are_finished(name):
    """No placeholder is left, and no line of prose is longer than a screen."""
    text = (ROOT / name).read_text("utf-8")
    assert re.findall(r"\b(?:TODO|FIXME|XXX|TBD)\b", text) == []
    assert [line for line in text.splitlines() if len(line) > 130 and not line.startswith(("|", " "))] == []
