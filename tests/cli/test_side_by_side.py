"""Two prompts beside each other, and below each other where a terminal has no room for two columns."""

from ollama_pack.cli.fold import cells_of
from ollama_pack.cli.side_by_side import heading, side_by_side

WIDE = "你好世界你好世界你好世界你好世界 🙂 done\n"


def test_wide_characters_keep_the_columns():
    """A character that takes two columns counts as two, so the second text begins in one column."""
    rows = list(side_by_side(f"<s>{WIDE}e\u0301!\n", f"<s>{WIDE}e!\n", ["<s>"], 60))
    assert max(map(cells_of, rows)) <= 60
    starts = {cells_of(row[: len(row) - len(row.rpartition("  ")[2])]) for row in rows if row.strip()}
    assert starts == {cells_of(heading("trained", "sent", 60)) - len("sent")}


def test_a_narrow_terminal_gets_signs():
    """What is equal stands there once, what differs with - and +, and no line is wider than the terminal."""
    rows = list(side_by_side("<s>a\nsame\n", f"<s>b\nsame\n{WIDE}", ["<s>"], 30))
    assert rows[:3] == ["- [<s>]a\\n", "+ [<s>]b\\n", "  same\\n"]
    assert "".join(row[2:] for row in rows[3:]) == WIDE.replace("\n", "\\n")
    assert {row[0] for row in rows[3:]} == {"+"}
    assert max(map(cells_of, rows)) <= 30
    assert heading("trained", "sent", 30) == "- trained, + sent"
