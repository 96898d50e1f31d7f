"""Multipliers: what llama.cpp's converter multiplies the weights of Falcon-H1 with.

They stand in config.json and nowhere in a GGUF file. transformers multiplies activations with them; a product
of the weight is the same. (``FalconH1Model`` in llama.cpp's conversion.)
"""

import math
from functools import partial

from ollama_pack.arch.hparams import HParams
from ollama_pack.arch.spec import RowScaleFn

MULTIPLIERS = {
    **dict.fromkeys(("embedding_multiplier", "lm_head_multiplier", "key_multiplier"), 1),
    **dict.fromkeys(("attention_in_multiplier", "attention_out_multiplier"), 1),
    **dict.fromkeys(("ssm_in_multiplier", "ssm_out_multiplier"), 1),
    "ssm_multipliers": 5,
    "mlp_multipliers": 2,
}
"""Key of config.json → how many numbers it has."""


def uniform(*names: str, place: int = 0) -> RowScaleFn:
    """Return the scale of a weight all of whose rows are multiplied with the same numbers.

    Args:
        names: of the multipliers.
        place: which number of a list it is.
    """
    return partial(_uniform, names, place)


def _uniform(names: tuple[str, ...], place: int, hparams: HParams, rows: int) -> tuple[float, ...]:
    return (math.prod(hparams.multipliers[name][place] for name in names),) * rows


def state_space_inputs(hparams: HParams, _rows: int) -> tuple[float, ...]:
    """Return the multipliers of gates, values, B, C and steps, which are one weight, one below the other."""
    keys = hparams.ssm.groups * hparams.ssm.state
    sizes = (hparams.ssm.inner, hparams.ssm.inner, keys, keys, hparams.ssm.heads)
    (common,), each = hparams.multipliers["ssm_in_multiplier"], hparams.multipliers["ssm_multipliers"]
    return tuple(common * by for by, size in zip(each, sizes, strict=True) for _ in range(size))
