"""docs/adapters.md: the table of all kinds of adapters, written from what is measured and from the rules."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from archive import GOLDENS
from builds import NEWEST
from kinds import DAMAGED, KINDS, REFUSED, RIGHT, Kind

from ollama_pack.lora.hints import BY_MERGE, BY_PEFT, MERGE_HINT
from ollama_pack.lora.unsupported import RULES

DOCUMENT = Path(__file__).parents[2] / "docs" / "adapters.md"
PEER = json.loads((GOLDENS / "kinds" / "peer.json").read_text("utf-8"))

HEAD = """# Supported, unsupported and damaged adapters

`ollama-pack` does one of three things with an adapter. It converts the adapter exactly. Or it rejects an
unsupported adapter with exit code 4, and names every tensor or setting concerned, the reason and a
hint. Or it rejects a damaged adapter with exit code 3, and names the place of the damage.

For each row, PEFT saved an adapter and computed its logits, on tiny random models of each architecture
and on SmolLM2-135M in float32. Rows for mlx-lm and torchtune use adapters that those trainers saved.
*Miss* compares what llama.cpp computes with the converted file with PEFT's logits: it is the largest
difference of the logarithm of a next token's probability, divided by the largest change that the adapter
causes. *Merged* says whether `--merge`, which writes one model file of the base and the adapter, holds it
too: the miss of such a file in float32 is below 2e-02 for what is also converted, and below 1e-04 for what
only a merged file holds. The figures are upper bounds of the measurements with llama.cpp %s; `make logits`
compares the logits themselves. The last column says what llama.cpp's own converter does with the same
adapters; a miss there is a difference of logits. `make test` repeats the measurements and checks this page;
`make reference` records the adapters and logits again.
""".replace("%s", NEWEST)

SPOKEN = {"accepted": "**accepted**", "crash": "**crashes llama.cpp**", "wrong": "**wrong**"}
"""Outcomes that users would not notice, or would notice too late; the page prints them in bold."""

WAYS = {BY_MERGE: "`--merge`", BY_PEFT: "`--merge` ²", MERGE_HINT: "merge it with PEFT ¹"}
"""Hints that several rules have, as the page has them."""

ALWAYS_ACTIVE = "aLoRA"
"""The feature of the only adapters that are converted and not merged: a merged weight acts on every token."""

SPARE = 3
"""Times what was measured here, for other processors."""

FIGURE = r"< \de-?\d+"

pytestmark = pytest.mark.llama


def features(verdict: str) -> dict[str, list[Kind]]:
    """Return feature → its kinds, in the order of the rows."""
    found: dict[str, list[Kind]] = {}
    for kind in KINDS:
        if kind.verdict == verdict:
            found.setdefault(kind.feature, []).append(kind)
    return found


def peer(kinds: list[Kind]) -> str:
    """Return what became of the adapters in llama.cpp's own converter, each outcome once."""
    if any(kind.asked.keys() & {"weights", "scale"} for kind in kinds):
        return "no such option"
    answers = [PEER[kind.case] for kind in kinds if kind.case in PEER]
    worst = max((answer["miss"] for answer in answers if answer["outcome"] == "wrong"), default=0)
    outcomes = Counter(answer["outcome"] for answer in answers)
    words = []
    for outcome, count in outcomes.items():
        word = SPOKEN.get(outcome, outcome) + (f", miss {worst:.2g}" if outcome == "wrong" else "")
        words.append(word if len(outcomes) == 1 else f"{count} {word}")
    return "; ".join(words)


def merged(kinds: list[Kind]) -> str:
    """Return whether a merged file holds the adapters, as tests/llama/test_merged_logits.py measures."""
    if kinds[0].verdict == RIGHT:
        return "no" if kinds[0].feature == ALWAYS_ACTIVE else "right"
    if not kinds[0].merges:
        return "no"
    return "right, by PEFT ²" if kinds[0].by_peft else "right"


def rounded_up(figure: float) -> str:
    """Return a bound that a measurement on another machine keeps too."""
    return f"< {figure * SPARE:.0e}"


def way(hint: str) -> str:
    """Return a hint as it stands in a cell, where a bar would end it and a star would begin emphasis."""
    text = hint.replace("|", r"\|").replace("*", r"\*")
    return WAYS.get(hint, text.replace(BY_PEFT, WAYS[BY_PEFT]))


def right_rows(judge) -> list[str]:
    rows = []
    told = DOCUMENT.read_text("utf-8").splitlines() if DOCUMENT.exists() else []
    for feature, kinds in features(RIGHT).items():
        seen = [kind for kind in kinds if kind.case in judge(kind.model).cases]
        worst = [
            max((judge(kind.model).miss(kind.case, outtype) for kind in seen), default=0)
            for outtype in ("f32", "f16")
        ]
        figures = " | ".join(map(rounded_up, worst))
        if not seen:  # without torch no pickle is read here: the figures of the machine that had it stay
            figures = next(row for row in told if row.startswith(f"| {feature} ")).split(" | ", 1)[1]
            figures = " | ".join(figures.split(" | ")[:2])
        rows.append(f"| {feature} | {figures} | {merged(kinds)} | {peer(kinds)} |")
    return rows


def stopped_rows(verdict: str) -> list[str]:
    rows = []
    for feature, kinds in features(verdict).items():
        rules = [RULES[rule] for rule in dict.fromkeys(kind.rule for kind in kinds) if rule]
        reasons = (
            "; ".join(rule.reason for rule in rules) or "the shapes do not match, or the file ends early"
        )
        ways = "; ".join(way(rule.hint) for rule in rules)
        column = f"{merged(kinds)} | " if verdict == REFUSED else ""
        rows.append(f"| {feature} | {reasons} | {ways} | {column}{peer(kinds)} |")
    return rows


def page(judge) -> str:
    parts = [
        HEAD,
        "## Converted",
        "",
        "| adapter | miss in f32 | miss in f16 | merged | llama.cpp's own converter |\n|---|---|---|---|---|",
        *right_rows(judge),
        "",
        "## Unsupported",
        "",
        "A GGUF LoRA file cannot hold these. A merged file holds those that are right in the fourth column.",
        "",
        "| adapter | reason | hint | merged | llama.cpp's own converter |\n|---|---|---|---|---|",
        *stopped_rows(REFUSED),
        "",
        f"¹ {MERGE_HINT[0].upper()}{MERGE_HINT[1:]}.",
        "",
        "² With the extra `peft`: PEFT itself merges, one weight at a time, in a process of its own.",
        "",
        "## Damaged",
        "",
        "| adapter | reason | hint | llama.cpp's own converter |\n|---|---|---|---|",
        *stopped_rows(DAMAGED),
    ]
    return "\n".join(parts) + "\n"


@pytest.mark.parametrize("llama", [NEWEST], indirect=True)
def test_document_golden(judge_kinds, request):
    """The page says what is measured now: the same rows and words, and no figure above the one it gives."""
    text = page(judge_kinds)
    if request.config.getoption("--update-goldens"):
        DOCUMENT.write_text(text, "utf-8")
    told = DOCUMENT.read_text("utf-8")
    assert re.sub(FIGURE, "F", told) == re.sub(FIGURE, "F", text)
    bounds, now = ([float(figure[2:]) for figure in re.findall(FIGURE, version)] for version in (told, text))
    assert all(figure / SPARE <= bound * 1.2 for figure, bound in zip(now, bounds, strict=True))


def test_every_rule_is_shown_or_tested_elsewhere():
    """A rule without a recorded adapter is one of the few that unit tests show."""
    shown = {kind.rule for kind in KINDS if kind.rule}
    assert RULES.keys() - shown == {
        "maybe-tied", "no-place", "experts-unknown", "unknown-tensor", "unknown-setting", "unknown-method",
        "mixture", "mlx-scale", "shape", "kasa", "sum-apart", "states-unknown", "multipliers",
        "scaled-beside", "altered-by-converter", "one-sided", "variant", "size-unknown",
        "no-language-model", "ungathered", "all-weights", "no-weight",
    }  # fmt: skip


def test_readme_counts():
    """The README counts as the table does: what is right here and there, and what passes there unnoticed."""
    readme = " ".join((DOCUMENT.parents[1] / "README.md").read_text("utf-8").split())
    right = [kind for kind in KINDS if kind.verdict == RIGHT]
    fair = [kind for kind in right if kind.case in PEER and not kind.asked.keys() & {"weights", "scale"}]
    there = Counter(PEER[kind.case]["outcome"] for kind in fair)
    rest = [PEER[kind.case]["outcome"] for kind in KINDS if kind.verdict != RIGHT]
    unnoticed = sum(outcome in ("accepted", "wrong") for outcome in rest)
    assert f"{len(KINDS)} recorded adapters are judged" in readme
    assert f"Of the {len(right)} that are converted here" in readme
    counts = f"converts {there['right']} correctly and {there['wrong']} incorrectly without a warning"
    assert counts in readme
    assert (
        f"Of the {len(rest)} that are unsupported or damaged, it converts {unnoticed} without a warning"
        in readme
    )
    assert rest.count("crash") == 1
