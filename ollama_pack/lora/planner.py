"""Plans a GGUF LoRA file from an adapter and its base. Touches no disk."""

import struct
from collections import Counter
from collections.abc import Iterator, Sequence

from ollama_pack.arch.table import require_arch
from ollama_pack.base.hf_cache import is_hub_id
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import InputError
from ollama_pack.gguf.constants import INVOCATION_TOKENS
from ollama_pack.lora.adapter import Adapter
from ollama_pack.lora.fused_tensors import TensorSlot
from ollama_pack.lora.plan import LoraPlan, LoraTensor
from ollama_pack.lora.tensor_mapping import map_pairs_to_tensors

FLOAT32_EPSILON = 2.0**-23
LARGEST_FACTOR = 3.4e38
"""No alpha is larger: it is a float32 in the file."""

ALPHA_IF_UNUSED = 1.0
"""The alpha of a file if every alpha is 0 or rounds to 0 in float32: llama.cpp reads 0 as a scale of 1."""


def plan_lora(adapter: Adapter, base: BaseModel) -> LoraPlan:
    """Return what a GGUF LoRA file for this base must hold.

    A file has one alpha, and llama.cpp multiplies B·A by alpha / rank of the tensor. The alpha that most
    weights have is written; in the others, B is multiplied by their own alpha / that alpha.

    Raises:
        UnsupportedError: the architecture has no row, or a pair has no place in the file.
        InputError: shapes or block numbers do not match the base.
    """
    arch = require_arch(base.hparams.arch)
    places = map_pairs_to_tensors(adapter, base, arch)
    alpha = _common_alpha([place.pair.alpha for place in places])
    tensors = tuple(tensor for place in places for tensor in _lora_tensors(place, alpha))
    return LoraPlan(arch=arch.name, alpha=alpha, tensors=tensors, metadata=_metadata(adapter, base))


def _lora_tensors(place: TensorSlot, alpha: float) -> Iterator[LoraTensor]:
    """Yield A and B of a slot, with what B is multiplied by in a file with this alpha."""
    yield LoraTensor(f"{place.tensor}.lora_a", place.a)
    factor = _factor(place.pair.alpha, alpha)
    yield LoraTensor(f"{place.tensor}.lora_b", place.pair.b, rows=place.rows, factor=factor)


def _common_alpha(alphas: Sequence[float]) -> float:
    """Return the alpha that most weights have, the smallest if several are as frequent, as a float32."""
    counts = Counter(alpha for alpha in alphas if alpha != 0.0) or Counter([ALPHA_IF_UNUSED])
    alpha = min(counts, key=lambda value: (-counts[value], value))
    if abs(alpha) > LARGEST_FACTOR:
        raise InputError(
            f"An alpha of {alpha:g} is too large for float32, its type in the file.", hint="--scale"
        )
    rounded: float = struct.unpack("<f", struct.pack("<f", alpha))[0]
    return rounded or ALPHA_IF_UNUSED


def _factor(wanted: float, written: float) -> float:
    """Return the factor of B, which is 1 if the alphas differ by no more than the rounding to float32."""
    factor = wanted / written
    return 1.0 if abs(factor - 1.0) <= FLOAT32_EPSILON else factor


def _metadata(adapter: Adapter, base: BaseModel) -> dict[str, str | int | tuple[int, ...]]:
    """Return the metadata of a file: the base it was trained on, and the tokens that activate an aLoRA."""
    invocation = {INVOCATION_TOKENS: adapter.invocation} if adapter.invocation else {}
    return {**_lineage(adapter, base), **invocation}


def _lineage(adapter: Adapter, base: BaseModel) -> dict[str, str | int]:
    """Return the lineage for ``general.*``: ids only, never a path."""
    source = adapter.base_id if is_hub_id(adapter.base_id) else base.source_id
    if not source:
        return {}
    organisation, _, name = source.rpartition("/")
    if not organisation:
        return {"general.base_model.count": 1, "general.base_model.0.name": name}
    return {
        "general.base_model.count": 1,
        "general.base_model.0.name": name,
        "general.base_model.0.organization": organisation,
        "general.base_model.0.repo_url": f"https://huggingface.co/{source}",
    }
