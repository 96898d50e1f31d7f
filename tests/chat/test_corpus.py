"""What is recorded of the corpus of real chat templates agrees with what the papers say of it."""

import json
import re
from collections import Counter
from pathlib import Path

from ollama_pack.modelfile.template import template_names

ROOT = Path(__file__).parents[2]
ROWS = json.loads((ROOT / "tests/goldens/chat-corpus.json").read_text("utf-8"))
SHIPPED = json.loads((ROOT / "tests/goldens/chat-shipped.json").read_text("utf-8"))
REASONS = ("equal", "none derived", "not computed")


def test_what_the_shipped_templates_are_like():
    """README says which shipped ones are equal to their families, and which have no family to be equal to."""
    different = {row["template"]: set(row["different"]) for row in SHIPPED}
    assert set(different) == set(template_names()) - {"inherit"}
    equal = sorted(name for name, some in different.items() if not some)
    others = sorted(name for name, some in different.items() if some)
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    assert f"{', '.join(equal[:-1])} and {equal[-1]} are byte-equal" in readme
    assert f"{' and '.join(others)} have the preamble of their training" in readme


def test_the_record_is_whole():
    """Each template is there once, and no TEMPLATE that was derived makes another prompt."""
    assert len({row["sha256"] for row in ROWS}) == len(ROWS)
    assert {row["verdict"].partition(":")[0] for row in ROWS} == set(REASONS)


def test_the_share_that_is_derived():
    """At least 94 of 100 templates are byte-equal, and the decision tells the figures of the record."""
    counts = Counter(row["verdict"].partition(":")[0] for row in ROWS)
    assert counts["equal"] / len(ROWS) >= 0.94
    decisions = (ROOT / "docs/decisions.md").read_text("utf-8")
    said = re.search(r"Of (\d+) real templates (\d+) are equal so", " ".join(decisions.split()))
    assert said is not None
    assert [int(number) for number in said.groups()] == [len(ROWS), counts["equal"]]
