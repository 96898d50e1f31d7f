"""The codes of quantised blocks: any bytes are codes and scales, and what the gguf library reads agrees."""

import gguf
import numpy as np
import pytest

from ollama_pack.gguf.blocks import read_blocks
from ollama_pack.gguf.code_layouts import CODE_LAYOUTS
from ollama_pack.gguf.codes import code_steps, codes_of, with_codes
from ollama_pack.gguf.ggml_types import BLOCKS

KINDS = [pytest.param(kind, id=gguf.GGMLQuantizationType(kind).name) for kind in CODE_LAYOUTS]
SCALES = {2: [0], 3: [0, 2], 6: [0], 7: [0, 2], 12: [0, 2], 13: [0, 2], 14: [208]}
"""ggml type → where the float16 scales of a block lie, as ggml-common.h has them."""


def random_blocks(kind: int, count: int = 64, scale: float = 0.01) -> np.ndarray:
    """Return the bytes of random blocks whose scales are usual numbers."""
    random = np.random.default_rng(kind)
    blocks = random.integers(0, 256, (count, BLOCKS[kind][1]), np.uint8)
    for place in SCALES[kind]:
        blocks[:, place : place + 2] = _float16(random.uniform(scale / 2, scale, (count, 1)))
    return blocks.reshape(-1)


def _float16(numbers: np.ndarray) -> np.ndarray:
    """Return the bytes of numbers as float16."""
    return numbers.astype("<f2").view(np.uint8)


@pytest.mark.property
@pytest.mark.parametrize("kind", KINDS)
def test_codes_and_scales_are_all_there_is(kind):
    """Taking the codes out and putting them back gives the same bytes, and other codes other ones."""
    raw = random_blocks(kind)
    codes = codes_of(raw, kind)
    assert codes.max() == CODE_LAYOUTS[kind].largest
    assert np.array_equal(with_codes(raw, kind, codes), raw)
    others = (codes + 1) % (CODE_LAYOUTS[kind].largest + 1)
    assert np.array_equal(codes_of(with_codes(raw, kind, others), kind), others)


@pytest.mark.property
@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_is_linear_in_its_code(kind):
    """The gguf library reads first + step · code for every weight, so a step is what one code is worth."""
    raw = random_blocks(kind)
    width = BLOCKS[kind][0]
    first = read_blocks(with_codes(raw, kind, 0), kind, width)
    wanted = gguf.quants.dequantize(raw.reshape(-1, BLOCKS[kind][1]), gguf.GGMLQuantizationType(kind))
    assert np.allclose(first + code_steps(raw, kind) * codes_of(raw, kind), wanted, rtol=1e-5, atol=1e-6)
