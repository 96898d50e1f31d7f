"""What config.json says of a base agrees with what llama.cpp's converter wrote of it, for every record."""

from dataclasses import replace

import pytest
from archive import names_of, unpacked

from ollama_pack.base.expected import ExpectedBase
from ollama_pack.base.hf_config import read_config
from ollama_pack.gguf.model_info import read_model_info
from ollama_pack.verify.base_sizes import (
    number_mismatches,
    position_mismatches,
    row_order_mismatches,
)
from ollama_pack.verify.layouts import LAYOUTS

ROWS = names_of("archs-reference")
PLACED = {arch for arch, _ in LAYOUTS}


def recorded(row):
    """Return the config.json of a recorded base, and its header."""
    folder = unpacked("archs-reference", row)
    return read_config(folder), read_model_info(folder / "base.gguf").metadata


@pytest.mark.parametrize("row", ROWS)
def test_the_right_base_raises_no_alarm(row):
    """Sizes, positions and the sizes that place rows are those of the header."""
    config, metadata = recorded(row)
    base = config.base()
    arch = str(metadata["general.architecture"])
    assert list(number_mismatches(ExpectedBase(hparams=base.hparams), metadata, arch)) == []
    assert list(row_order_mismatches(base.hparams, metadata, arch)) == []
    assert list(position_mismatches(config.positions(), metadata, arch, complete=True)) == []


@pytest.mark.parametrize("row", ROWS)
def test_rows_that_were_placed_otherwise_are_found(row):
    """Twice the heads, each half as large, is found wherever llama.cpp holds rows in another order."""
    config, metadata = recorded(row)
    sizes = config.base().hparams
    layers = tuple((2 * heads, 2 * kv_heads) for heads, kv_heads in sizes.heads_per_layer)
    halves = {"heads": 2 * sizes.heads, "kv_heads": 2 * sizes.kv_heads, "head_dim": sizes.head_dim // 2}
    states = replace(sizes.ssm, groups=2 * sizes.ssm.groups, heads=2 * sizes.ssm.heads)
    other = replace(sizes, **halves, heads_per_layer=layers, ssm=states)
    found = [code for code, *_ in row_order_mismatches(other, metadata, sizes.arch)]
    assert found == (["row-order"] if sizes.arch in PLACED else [])
