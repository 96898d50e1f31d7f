"""Asks gguf-py's table what an architecture calls its tensors, and prints the answers as JSON.

A process of its own for each architecture: asking for one changes the table for the next.
"""

import json
import sys

from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

BLOCKS = 3

name, modules = sys.argv[1], json.loads(sys.argv[2])
arch = next(key for key, value in MODEL_ARCH_NAMES.items() if value == name)
table = get_tensor_name_map(arch, BLOCKS)
print(json.dumps({module: table.get_name(module) for module in modules}))  # noqa: T201 — its only way to answer
