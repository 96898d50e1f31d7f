"""READ  the name of a tensor in an adapter → its module and its part.

PEFT writes ``base_model.model.<module>.lora_A.weight``. What its versions and the tools around it put
between is taken away: the adapter's name, wrappers of torch.compile and FSDP, ``base_layer``, and the
``language_model`` in which models that see keep their text model.
"""

import re
from typing import NamedTuple

PEFT_PREFIX = "base_model.model."
WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Segments that torch puts into a name when it wraps a module."""

BASE_LAYER = "base_layer"
TEXT_MODEL = (
    ("model.language_model.", "model."),
    ("language_model.model.", "model."),
    ("language_model.lm_head", "lm_head"),
    ("layers.", "model.layers."),
)
"""Where the text model of a larger one, or a model without its head, begins; what it is called alone."""

TOWERS = re.compile(r"(^|[._])(vision|visual|image|img|audio|speech|mm|multi_?modal)([._]|$)")
"""Parts of a model that see or hear."""


class TensorKey(NamedTuple):
    """What the name of a tensor says.

    Attributes:
        module: the module in the text model, ``model.layers.0.self_attn.q_proj``.
        part: which of its tensors, ``lora_A``; ``weight`` or ``bias`` of the module itself.
        depth: how many `base_layer` lie between: PEFT's nested wrappers of several parameters.
        bias: whether it is the bias of that part.
        trained: the module in the model it was trained in, where it has another name there; else empty.
    """

    module: str
    part: str
    depth: int = 0
    bias: bool = False
    trained: str = ""


def parse_key(name: str, parts: frozenset[str]) -> TensorKey:
    """Return what the name of a tensor says, whoever wrote it.

    Args:
        name: as it stands in the file.
        parts: names of the tensors that the adapter's method has, ``lora_A`` and ``lora_B``.
    """
    text = name.removeprefix("module.") if name.startswith(f"module.{PEFT_PREFIX}") else name
    segments = [segment for segment in text.split(".") if segment not in WRAPPERS]
    text = ".".join(segments).removeprefix(PEFT_PREFIX)
    segments = text.split(".")
    place = next((index for index, segment in enumerate(segments) if segment in parts), None)
    if place is None:
        module, _, part = text.rpartition(".")
        return _spelling(module, part)
    rest = segments[place + 1 :]
    # Between the part and its end stands the adapter's name, or nothing.
    is_weight = len(rest) <= 2 and (
        not rest or rest[-1] == "weight" or (len(rest) == 1 and rest[0] != "bias")
    )
    bias = bool(rest) and rest[-1] == "bias"
    part = segments[place] if is_weight or bias else ".".join(segments[place:])
    return _spelling(".".join(segments[:place]), part, bias=bias)


def _spelling(path: str, part: str, *, bias: bool = False) -> TensorKey:
    depth = 0
    while path.endswith(f".{BASE_LAYER}"):
        path, depth = path.removesuffix(f".{BASE_LAYER}"), depth + 1
    module = text_module(path)
    return TensorKey(module, part, depth, bias, "" if module == path else path)


def text_module(module: str) -> str:
    """Return the name of a module in the text model alone."""
    for beginning, alone in TEXT_MODEL:
        if module.startswith(beginning):
            return alone + module.removeprefix(beginning)
    return module


def is_tower(module: str) -> bool:
    """Return whether a module belongs to a part of the model that sees or hears."""
    return TOWERS.search(module) is not None
