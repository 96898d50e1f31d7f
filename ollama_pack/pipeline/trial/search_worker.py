"""Looks for patterns in texts in a process of its own; it imports nothing of this package.

Standard input is a list of pairs in JSON: a pattern and a text. Each pair has a line of output: whether the
pattern is in the text, or a text that says why the pattern is no regular expression.
"""

import json
import re
import sys
import warnings


def search_texts() -> None:
    """Answer the pairs on standard input, one after another."""
    warnings.simplefilter("ignore")  # A FutureWarning about somebody else's pattern helps no user.
    for pattern, text in json.load(sys.stdin):
        try:
            found: object = re.search(pattern, text) is not None
        except (re.error, OverflowError, RecursionError) as error:
            found = str(error) or type(error).__name__
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    search_texts()
