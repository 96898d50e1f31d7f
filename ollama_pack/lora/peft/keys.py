"""Parse the name of a tensor in an adapter into its module and its part.

PEFT writes ``base_model.model.<module>.lora_A.weight`` (``peft/utils/save_and_load.py``). Additions of its
versions and of other tools are removed: the adapter's name, the wrappers of trainers, ``base_layer``, and the
holders in which multimodal models keep their text model.
"""

import re
from functools import lru_cache
from typing import NamedTuple

PEFT_PREFIX = ("base_model", "model")
"""The segments that PEFT puts in front of a name."""

WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"})
"""Segments that torch and trainers insert into a name, anywhere, when they wrap a module."""

OUTER_WRAPPER = "module"
"""The segment that data parallelism and DeepSpeed put in front of a name."""

BASE_LAYER = "base_layer"
HOLDERS = frozenset({"language_model", "text_model", "thinker", "llm", "language"})
"""Segments in which a larger model holds its text model."""

BODIES = frozenset({"model", "transformer", "gpt_neox", "backbone", "lm_head"})
"""Segments with which the name of a text model begins. Lightning puts another ``model`` in front of it."""

HEADLESS = frozenset({"layers", "embed_tokens"})
"""Segments with which it begins if the model was loaded without its head (``AutoModel``)."""

OTHER_PARTS = {"lora_down": "lora_A", "lora_up": "lora_B"}
"""What kohya's trainers call PEFT's parts. Other tools write PEFT's names in small letters."""

_LAST_NUMBER = re.compile(r"(.*\.)([0-9]+)(\..*)", re.DOTALL)
_ANY_NUMBER = "\0"
"""What stands for the last number of a name while the name is parsed for all numbers."""

_UNDERSCORED = re.compile(
    r"(?:lora|lycoris)_(?:unet_|te[0-9]?_|llm_|transformer_)?"
    r"(model_layers|transformer_h|layers)_([0-9]{1,6})_(self_attn|attention|attn|mlp|feed_forward)_(\w+)"
)
"""A module as kohya's trainers write it, with underscores for dots."""

TOWERS = re.compile(
    r"(^|[._])(vision|visual|image|img|audio|speech|mm|multi_?modal|connector|resampler|aligner|vpm|apm)([._]|$)"
)
"""The names of a vision or audio tower, or of its projector."""


class TensorKey(NamedTuple):
    """The parsed name of a tensor.

    Attributes:
        module: the name of the module in the text model, ``model.layers.0.self_attn.q_proj``.
        part: the tensor of that module, ``lora_A``, or ``weight`` or ``bias`` of the module itself.
        depth: the number of ``base_layer`` segments. PEFT nests a wrapper for each adapted parameter.
        bias: whether the tensor is the bias of that part.
        trained: the name of the module in the trained model if it differs from `module`, else ''.
        tower: whether the module belongs to a vision or audio tower, or to its projector.
    """

    module: str
    part: str
    depth: int = 0
    bias: bool = False
    trained: str = ""
    tower: bool = False


def parse_key(name: str, parts: frozenset[str]) -> TensorKey:
    """Return the parsed name of a tensor.

    Args:
        name: the name of the tensor in the file.
        parts: the names of the tensors that the adapter's method has, ``lora_A`` and ``lora_B``.
    """
    found = _LAST_NUMBER.fullmatch(name)
    if found is None or _ANY_NUMBER in name:
        return _key_of_any_number(name, parts)
    before, number, after = found.groups()
    key = _key_of_any_number(f"{before}{_ANY_NUMBER}{after}", parts)
    module, trained = key.module.replace(_ANY_NUMBER, number), key.trained.replace(_ANY_NUMBER, number)
    return TensorKey(module, key.part.replace(_ANY_NUMBER, number), key.depth, key.bias, trained, key.tower)


@lru_cache(maxsize=256)  # A layer has some hundred experts, whose names differ in their last number alone.
def _key_of_any_number(name: str, parts: frozenset[str]) -> TensorKey:
    """Return the parsed name of a tensor, whatever its last number is."""
    segments = _without_wrappers(name)
    spelled: dict[str, str] = {}
    found = parts.intersection(segments)
    if not found:
        others = {part.lower(): part for part in parts} | OTHER_PARTS
        spelled = {others[segment]: segment for segment in segments if segment in others}
        found = parts.intersection(spelled)
    if not found:
        return _tensor_key(".".join(segments[:-1]), segments[-1])
    places = {segments.index(spelled.get(each, each)): each for each in found}
    place = min(places)
    part = places[place]
    rest = segments[place + 1 :]
    # PEFT may write the adapter's name between the part and its ending: lora_A.default.weight.
    is_weight = len(rest) <= 2 and (
        not rest or rest[-1] == "weight" or (len(rest) == 1 and rest[0] != "bias")
    )
    bias = bool(rest) and rest[-1] == "bias"
    if not (is_weight or bias):
        part = ".".join(segments[place:])
    return _tensor_key(".".join(segments[:place]), part, bias=bias)


def _without_wrappers(name: str) -> list[str]:
    """Return the segments of a name without PEFT's prefix, and without what trainers put around a model.

    Whatever stands in front of PEFT's prefix is the trainer's, and so is a second prefix.
    """
    segments = name.split(".")
    if not WRAPPERS.isdisjoint(segments):
        segments = [segment for segment in segments if segment not in WRAPPERS]
    if PEFT_PREFIX[0] in segments:
        last = len(segments) - segments[::-1].index(PEFT_PREFIX[0])
        if segments[last : last + 1] == [PEFT_PREFIX[1]]:
            segments = segments[last + 1 :]
    while segments[:1] == [OUTER_WRAPPER]:
        segments = segments[1:]
    return segments or [""]


def _tensor_key(path: str, part: str, *, bias: bool = False) -> TensorKey:
    """Return the key of a part of the module at a path."""
    module, depth, trained = _module_at(path)
    return TensorKey(module, part, depth, bias, trained, is_tower(module))


def _module_at(path: str) -> tuple[str, int, str]:
    """Return module, depth and trained name of a `TensorKey`; ``base_layer`` is removed and counted."""
    depth = 0
    while path.endswith(f".{BASE_LAYER}"):
        path, depth = path.removesuffix(f".{BASE_LAYER}"), depth + 1
    underscored = _UNDERSCORED.fullmatch(path)
    if underscored is not None:
        front, layer, owner, leaf = underscored.groups()
        path = f"{front.replace('_', '.')}.{layer}.{owner}.{leaf}"
    module = text_module(path)
    return module, depth, "" if module == path else path


def text_module(module: str) -> str:
    """Return the name that a module has in the text model alone, ``model.layers.0.mlp``."""
    segments = module.split(".")
    while len(segments) > 1:
        first, second, *rest = segments
        if first in HOLDERS or (first == "model" and second in BODIES):
            segments = [second, *rest]
        elif first == "model" and second in HOLDERS:
            segments = [first, *rest]
        else:
            break
    front = ["model"] if segments[0] in HEADLESS else []
    return ".".join([*front, *segments])


def is_tower(module: str) -> bool:
    """Return whether a module belongs to a vision or audio tower, or to its projector."""
    return TOWERS.search(module) is not None
