"""Types of few bits that stay: a change that is smaller than half a step is there all the same."""

import gguf
import numpy as np
import pytest
from test_codes import KINDS, random_blocks
from test_write import factors_of, plan_of, tensors_in, write_base

from ollama_pack.gguf.blocks import read_blocks
from ollama_pack.gguf.code_layouts import CODE_LAYOUTS
from ollama_pack.gguf.codes import codes_of, with_codes
from ollama_pack.gguf.ggml_types import BLOCKS
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.merge.plan import plan_merge
from ollama_pack.merge.threshold import CodeMoves, measure_moves, move_codes
from ollama_pack.merge.write import write_merged

ROWS, COLUMNS = 96, 512


def write_quantised(path, kind: int, shape=(ROWS, COLUMNS)):
    """Write a base with one weight of a type, made of random blocks."""
    writer = gguf.GGUFWriter(path, "llama")
    raw = random_blocks(kind, shape[0] * shape[1] // BLOCKS[kind][0])
    middle = (CODE_LAYOUTS[kind].largest + 1) // 2
    raw = with_codes(raw, kind, np.clip(codes_of(raw, kind), middle // 2, middle + middle // 2))
    writer.add_tensor(
        "blk.0.attn_q.weight", raw.reshape(shape[0], -1), raw_dtype=gguf.GGMLQuantizationType(kind)
    )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gain_and_cosine(gained: np.ndarray, change: np.ndarray) -> tuple[float, float]:
    """Return the share of a change that is there along itself, and the cosine, in float64."""
    one, other = gained.astype(np.float64).ravel(), change.astype(np.float64).ravel()
    return one @ other / (other @ other), one @ other / np.sqrt((one @ one) * (other @ other))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("relative", [0.005, 0.03, 0.1])
def test_the_gain_is_one(tmp_path, kind, relative):
    """A merged file of the same type has the scales of the base, and all of ΔW along itself."""
    base = write_quantised(tmp_path / "base.gguf", kind)
    name = "blk.0.attn_q.weight"
    dtype = gguf.GGMLQuantizationType(kind)
    before = gguf.quants.dequantize(tensors_in(base)[name].data, dtype)
    a, b = factors_of((ROWS, COLUMNS))
    alpha = 2 * relative * np.linalg.norm(before) / np.linalg.norm(b @ a)
    plan = plan_merge((read_gguf(base),), plan_of(name, a, b, float(alpha)), "same")
    assert plan.tensors[0].keeps_scales
    write_merged(plan, tmp_path / "merged.gguf")
    merged = tensors_in(tmp_path / "merged.gguf")[name]
    assert merged.tensor_type == dtype
    zero = [with_codes(np.array(each.data).reshape(-1), kind, 0) for each in (tensors_in(base)[name], merged)]
    assert np.array_equal(*zero)
    change = np.float32(alpha / 2) * (b @ a)
    gain, cosine = gain_and_cosine(gguf.quants.dequantize(merged.data, dtype) - before, change)
    assert gain == pytest.approx(1, abs=0.02)
    assert cosine > 0.2


def test_rounding_to_the_nearest_loses_it(tmp_path):
    """Of a small change in 4 bits, rounding to the nearest keeps a part; the threshold keeps it all."""
    name, dtype = "blk.0.attn_q.weight", gguf.GGMLQuantizationType.Q4_1
    base = write_base(tmp_path / "base.gguf", {name: "Q4_1"}, (ROWS, COLUMNS))
    before = gguf.quants.dequantize(tensors_in(base)[name].data, dtype)
    a, b = factors_of((ROWS, COLUMNS))
    write_merged(plan_merge((read_gguf(base),), plan_of(name, a, b, 0.03), "same"), tmp_path / "merged.gguf")
    after = gguf.quants.dequantize(tensors_in(tmp_path / "merged.gguf")[name].data, dtype)
    change = np.float32(0.015) * (b @ a)
    naive = gguf.quants.dequantize(gguf.quants.quantize(before + change, dtype), dtype)
    assert gain_and_cosine(naive - before, change)[0] < 0.5
    assert gain_and_cosine(after - before, change)[0] == pytest.approx(1, abs=0.01)


def test_a_change_beyond_the_codes(tmp_path):
    """A change as large as the weight gets new scales, where the library of gguf can write them."""
    base = write_quantised(tmp_path / "base.gguf", 2)
    name = "blk.0.attn_q.weight"
    a, b = factors_of((ROWS, COLUMNS))
    plan = plan_merge((read_gguf(base),), plan_of(name, a, b, 10.0), "same")
    write_merged(plan, tmp_path / "merged.gguf")
    dtype = gguf.GGMLQuantizationType.Q4_0
    before, after = (tensors_in(path)[name] for path in (base, tmp_path / "merged.gguf"))
    wanted = gguf.quants.dequantize(before.data, dtype) + np.float32(5.0) * (b @ a)
    assert np.array_equal(after.data, gguf.quants.quantize(wanted, dtype))


@pytest.mark.property
@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_change_stays(kind):
    """Where a change is zero, no code moves, whatever the threshold; nor where a step is zero."""
    raw = random_blocks(kind)
    change = np.zeros((64, BLOCKS[kind][0]), np.float32)
    for threshold in (1.0, measure_moves(raw, kind, change).threshold(), CodeMoves().threshold()):
        assert np.array_equal(move_codes(raw, kind, change, threshold), raw)
    flat = random_blocks(kind, scale=0.0)
    assert np.array_equal(move_codes(flat, kind, change + 1, 0.5), flat)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_steps(kind):
    """A change of whole steps moves each code by as many, and stops at the last one."""
    raw = random_blocks(kind)
    codes, largest = codes_of(raw, kind), CODE_LAYOUTS[kind].largest
    first, second = (read_blocks(with_codes(raw, kind, code), kind, BLOCKS[kind][0]) for code in (0, 1))
    change = (second - first) * np.float32(3.25)
    moved = codes_of(move_codes(raw, kind, change, 0.5), kind)
    stays = first == second
    assert np.array_equal(moved[~stays], np.minimum(codes.astype(int) + 3, largest)[~stays])
    assert np.array_equal(moved[stays], codes[stays])
