"""Records what Go's own text/template makes of templates: tests/goldens/go-templates.json. It needs Go."""

import json
import random
import tempfile
from pathlib import Path

from go_cases import make_case
from go_examples import HAND_WRITTEN
from go_program import GoProgram

GOLDEN = Path(__file__).parents[1] / "goldens" / "go-templates.json"
OUTPUTS, FAULTS = 260, 120


def record():
    """Write the cases that are made by hand, and generated ones, with and without an output."""
    with tempfile.TemporaryDirectory() as folder:
        program = GoProgram(folder)
        recorded = [{**case, "out": shown(program.ask(case))} for case in HAND_WRITTEN]
        left = {True: OUTPUTS, False: FAULTS}
        seed = 0
        while any(left.values()):
            case = make_case(random.Random(seed))
            seed += 1
            out = program.ask(case)
            if left[out is not None] and not (out == b"" and seed % 5):
                left[out is not None] -= 1
                recorded.append({**case, "out": shown(out)})
        program.close()
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in recorded)
    GOLDEN.write_text(f"[\n{lines}\n]\n", "utf-8")


def shown(out):
    """Return an output as text in which each character is a byte, so that cut characters are kept too."""
    return None if out is None else out.decode("latin-1")


if __name__ == "__main__":
    record()
