"""Row scales of Falcon-H1: the numbers that llama.cpp's converter multiplies its weights by.

transformers multiplies activations by these numbers of config.json. The converter multiplies the weights,
which gives the same result, and leaves the numbers out of the GGUF file (``FalconH1Model`` in llama.cpp's
``conversion/falcon_h1.py``). ΔW must be scaled alike; see docs/decisions.md, “What config.json alone knows
is asked for, not guessed”.
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
"""Key in config.json → how many numbers its value holds."""


def uniform(*names: str, index: int = 0) -> RowScaleFn:
    """Return a row scale that multiplies all rows by the product of some multipliers.

    Args:
        names: keys of the multipliers in config.json.
        index: the index of the number in the list that such a key holds.
    """
    return partial(_uniform, names, index)


def _uniform(names: tuple[str, ...], index: int, hparams: HParams, rows: int) -> tuple[float, ...]:
    """Return the product of the multipliers, repeated for every row."""
    return (math.prod(hparams.multipliers[name][index] for name in names),) * rows


def state_space_inputs(hparams: HParams, _rows: int) -> tuple[float, ...]:
    """Return the factors of ``in_proj``, which concatenates gates (z), values (x), B, C and time steps."""
    keys = hparams.ssm.groups * hparams.ssm.state
    sizes = (hparams.ssm.inner, hparams.ssm.inner, keys, keys, hparams.ssm.heads)
    (common,), each = hparams.multipliers["ssm_in_multiplier"], hparams.multipliers["ssm_multipliers"]
    return tuple(common * factor for factor, size in zip(each, sizes, strict=True) for _ in range(size))
