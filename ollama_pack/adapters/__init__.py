"""READ  adapters: whoever trained and saved them, brought to A and B.

`locate` finds the files, `spelling` reads the names of tensors, `settings` and `kinds` find what A and B
cannot express, `methods` folds what they can, `scale` settles rank and alpha, `numbers` looks at every
number, `sums` makes one adapter of several.
"""

from ollama_pack.adapters.locate import CONFIG_FILE, WEIGHTS_FILE
from ollama_pack.adapters.read import read_adapter

__all__ = ["CONFIG_FILE", "WEIGHTS_FILE", "read_adapter"]
