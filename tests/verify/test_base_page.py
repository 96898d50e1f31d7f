"""docs/base.md lists every code of the base proof."""

from pathlib import Path

from ollama_pack.verify.base_mismatch import MISMATCHES


def test_the_page_has_every_code(request):
    """docs/base.md has the codes with their levels and advice, from the table that is used."""
    rows = [
        f"| `{code}` | {level} | {advice.format(code=code)} |" for code, (level, advice) in MISMATCHES.items()
    ]
    page = Path("docs/base.md")
    text = page.read_text()
    if request.config.getoption("--update-goldens"):
        head, _, rest = text.partition("|---|---|---|\n")
        page.write_text(f"{head}|---|---|---|\n" + "\n".join(rows) + "\n\n" + rest.partition("\n\n")[2])
    assert [line for line in page.read_text().splitlines() if line.startswith("| `")] == rows
