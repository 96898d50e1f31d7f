"""A stand-in for `ollama_pack/lora/peft/merge_worker.py`, which answers what PEFT was recorded to answer.

It knows the recorded adapters alone. A weight that is not that of the recorded base, in the layout that PEFT
has it, gets an error for an answer, so a test with it fails if rows or columns were laid out otherwise.
"""

import json
import sys
from pathlib import Path

import numpy as np

CLOSE = 1e-6


def answer(asked: dict, before: dict, after: dict) -> dict:
    """Return the answer to a question about one module."""
    weight, bias = f"{asked['module']}.weight", f"{asked['module']}.bias"
    given = np.fromfile(asked["weight"], "<f4")
    own_bias = before.get(bias)
    told = None if asked["bias"] is None else np.array(asked["bias"], np.float32)
    same = given.size == before[weight].size and np.abs(given - before[weight].reshape(-1)).max() < CLOSE
    if (told is None) != (own_bias is None) or (told is not None and np.abs(told - own_bias).max() > CLOSE):
        return {"error": f"{bias} is not the recorded one"}
    if not same:
        return {"error": f"{weight} is not the recorded one"}
    after.get(weight, before[weight]).astype("<f4").tofile(asked["into"])
    return {"bias": None if told is None else after.get(bias, own_bias).tolist()}


def main() -> None:
    """Answer each line of standard input."""
    first = json.loads(sys.stdin.readline())
    case = Path(first["weights"]).parent
    room = case.parent / "merged"
    before, after = dict(np.load(room / "base.npz")), dict(np.load(room / f"{case.name}.npz"))
    shapes = {module["name"]: tuple(module["shape"]) for module in first["modules"]}
    wrong = [name for name, shape in shapes.items() if before[f"{name}.weight"].shape != shape]
    say({"error": f"shapes of {wrong}"} if wrong else {"peft": "recorded"})
    for line in sys.stdin:
        say(answer(json.loads(line), before, after))


def say(document: dict) -> None:
    """Write an answer."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
