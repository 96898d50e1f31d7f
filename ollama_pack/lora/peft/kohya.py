"""Read the alpha that kohya's trainers store as a tensor beside each pair of factors.

Their scale is alpha / rank, with the alpha of the module (``networks/lora.py`` of sd-scripts). Their names
are read by `ollama_pack.lora.peft.keys`.
"""

import math
from collections.abc import Mapping

from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.adapter import LoraPair
from ollama_pack.lora.peft.keys import TensorKey


def is_own_alpha(key: TensorKey, tensor: Tensor) -> bool:
    """Return whether a tensor is the alpha of a module: a single number of that name."""
    return key.part == "alpha" and math.prod(tensor.shape) == 1


def with_own_alphas(pairs: tuple[LoraPair, ...], alphas: Mapping[str, Tensor]) -> tuple[LoraPair, ...]:
    """Return the pairs with the alpha that is stored beside their factors, if there is one.

    Raises:
        InputError: the file is truncated or cannot be read.
    """
    if not alphas:
        return pairs
    with TensorReader() as source:
        own = {module: float(source.float32(tensor).reshape(-1)[0]) for module, tensor in alphas.items()}
    return tuple(pair._replace(alpha=own.get(pair.module, pair.alpha)) for pair in pairs)
