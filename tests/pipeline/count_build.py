"""A child process: builds a model, and prints how often it opened, scanned, parsed and computed what.

Usage: python count_build.py FOLDER OLLAMA_PACK_ARGUMENTS...
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

FOLDER = sys.argv[1]
WATCHED = (
    *("resolve_directory", "read_parts", "compare_base", "map_pairs_to_tensors", "parse", "read_tokenizer"),
    *("locations_from", "resolve_inputs", "plan_lora", "read_adapter", "load_adapter"),
)
opens: Counter[str] = Counter()
scans: Counter[str] = Counter()
calls: Counter[str] = Counter()
digested: list[str] = []


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Count what is opened and scanned below the folder (an audit hook)."""
    if event in ("open", "os.scandir", "os.listdir") and isinstance(arguments[0], str | os.PathLike):
        path = os.fspath(arguments[0])
        if isinstance(path, str) and path.startswith(FOLDER):
            # Drafts have names by chance, and the files of a store are named by their digest.
            name = os.path.relpath(path, FOLDER)
            (opens if event == "open" else scans)[name] += 1


def count(frame: FrameType, event: str, _argument: object) -> None:
    """Count calls of the functions that a build should need once (a profile function)."""
    code = frame.f_code
    if event == "call" and code.co_name in WATCHED and "ollama_pack" in code.co_filename:
        calls[f"{Path(code.co_filename).stem}.{code.co_name}"] += 1
    if event == "call" and code.co_name == "sha256_of_file":
        digested.append(str(frame.f_locals["path"]))


if __name__ == "__main__":
    from ollama_pack.cli import main

    sys.addaudithook(watch)
    sys.setprofile(count)
    try:
        main(sys.argv[2:], standalone_mode=False)
    finally:
        sys.setprofile(None)
    sys.stdout.write(json.dumps({"opens": opens, "scans": scans, "calls": calls, "digested": digested}))
