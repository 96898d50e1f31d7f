"""Parse the name of a tensor in an adapter into its module and its part.

PEFT writes ``base_model.model.<module>.lora_A.weight`` (``peft/utils/save_and_load.py``). Additions of its
versions and of other tools are removed: the adapter's name, the wrappers of torch.compile and FSDP,
``base_layer``, and the ``language_model`` in which multimodal models keep their text model.
"""

import re
from typing import NamedTuple

PEFT_PREFIX = "base_model.model."
WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Segments that torch inserts into a name when it wraps a module."""

_WRAPPED_PREFIX = f"module.{PEFT_PREFIX}"

BASE_LAYER = "base_layer"
TEXT_MODEL = (
    ("model.language_model.", "model."),
    ("language_model.model.", "model."),
    ("language_model.lm_head", "lm_head"),
    ("layers.", "model.layers."),
)
"""Prefixes of a text model inside a larger model or without its head, each with the prefix it has alone."""

TOWERS = re.compile(r"(^|[._])(vision|visual|image|img|audio|speech|mm|multi_?modal)([._]|$)")
"""The names of a vision or audio tower, or of its projector."""


class TensorKey(NamedTuple):
    """The parsed name of a tensor.

    Attributes:
        module: the name of the module in the text model, ``model.layers.0.self_attn.q_proj``.
        part: the tensor of that module, ``lora_A``, or ``weight`` or ``bias`` of the module itself.
        depth: the number of ``base_layer`` segments. PEFT nests a wrapper for each adapted parameter.
        bias: whether the tensor is the bias of that part.
        trained: the name of the module in the trained model if it differs from `module`, else ''.
    """

    module: str
    part: str
    depth: int = 0
    bias: bool = False
    trained: str = ""


def parse_key(name: str, parts: frozenset[str]) -> TensorKey:
    """Return the parsed name of a tensor.

    Args:
        name: the name of the tensor in the file.
        parts: the names of the tensors that the adapter's method has, ``lora_A`` and ``lora_B``.
    """
    text = name.removeprefix("module.") if name.startswith(_WRAPPED_PREFIX) else name
    segments = text.split(".")
    if not WRAPPERS.isdisjoint(segments):
        text = ".".join(segment for segment in segments if segment not in WRAPPERS)
    text = text.removeprefix(PEFT_PREFIX)
    segments = text.split(".")
    found = parts.intersection(segments)
    if not found:
        module, _, part = text.rpartition(".")
        return _tensor_key(module, part)
    place = min(map(segments.index, found))
    rest = segments[place + 1 :]
    # PEFT may write the adapter's name between the part and its ending: lora_A.default.weight.
    is_weight = len(rest) <= 2 and (
        not rest or rest[-1] == "weight" or (len(rest) == 1 and rest[0] != "bias")
    )
    bias = bool(rest) and rest[-1] == "bias"
    part = segments[place] if is_weight or bias else ".".join(segments[place:])
    return _tensor_key(".".join(segments[:place]), part, bias=bias)


def _tensor_key(path: str, part: str, *, bias: bool = False) -> TensorKey:
    """Return the key of a part of the module at a path, with ``base_layer`` removed and counted."""
    depth = 0
    while path.endswith(f".{BASE_LAYER}"):
        path, depth = path.removesuffix(f".{BASE_LAYER}"), depth + 1
    module = text_module(path)
    return TensorKey(module, part, depth, bias, "" if module == path else path)


def text_module(module: str) -> str:
    """Return the name that a module has in the text model alone, ``model.layers.0.mlp``."""
    for beginning, alone in TEXT_MODEL:
        if module.startswith(beginning):
            return alone + module.removeprefix(beginning)
    return module


def is_tower(module: str) -> bool:
    """Return whether a module belongs to a vision or audio tower, or to its projector."""
    return TOWERS.search(module) is not None
