"""Compares patterns with the names of modules in a process of its own; it imports nothing of this package.

Standard input is a JSON object with ``patterns`` and ``modules``. Each pattern has a line of output: the list
of the indices of the modules that match, or a text that says why the pattern is no regular expression.
"""

import json
import re
import sys
import warnings

MOST_MATCHES = 1 << 20
"""Number of matches after which the process gives up; a million modules may have a key each."""


def answer_patterns() -> None:
    """Answer the patterns on standard input, one after another."""
    warnings.simplefilter("ignore")  # A FutureWarning about somebody else's pattern helps no user.
    asked = json.load(sys.stdin)
    left = MOST_MATCHES
    for pattern in asked["patterns"]:
        answer: object
        try:
            # ``get_pattern_key`` of PEFT's peft/utils/other.py.
            matches = re.compile(rf"(.*\.)?({pattern})$").match
        except (re.error, OverflowError, RecursionError) as error:
            answer = str(error) or type(error).__name__
        else:
            answer = found = [number for number, module in enumerate(asked["modules"]) if matches(module)]
            left -= len(found)
        if left < 0:
            break
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    answer_patterns()
