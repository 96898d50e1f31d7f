"""Places laid out by the tensors a base has: what is joined or taken apart is the same ΔW."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.arch.hparams import HParams
from ollama_pack.arch.table import require_arch
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import InputError
from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.adapter import Adapter, LoraPair
from ollama_pack.lora.tensor_mapping import map_pairs_to_tensors

LAYER = "model.layers.0"
ATTENTION = [f"{LAYER}.self_attn.{part}_proj" for part in "qkv"]
EXPERTS = f"{LAYER}.mlp.experts"


def pair(module, *shape, seed=0, alpha=1.0, rank=2):
    """Return random factors of a module: out × in, or experts in front."""
    *front, rows, columns = shape
    random = np.random.default_rng(seed + len(module))
    a, b = random.normal(size=(*front, rank, columns)), random.normal(size=(*front, rows, rank))

    def made(numbers):
        numbers = numbers.astype(np.float32)
        return LazyTensor(Path("x"), module, numbers.shape, (), lambda: numbers)

    return LoraPair(module, made(a), made(b), alpha)


def deltas(pairs, base):
    """Return tensor → ΔW of the places of some pairs."""
    adapter = Adapter(Path("x"), Path("x"), tuple(pairs), 2, 1.0, "", {})
    found = {}
    with TensorReader() as source:
        for place in map_pairs_to_tensors(adapter, base, require_arch(base.hparams.arch)):
            b = source.float32(place.pair.b)
            b = b if place.rows is None else b[..., list(place.rows), :]
            found[place.tensor] = place.pair.scale * b @ source.float32(place.a)
    return found


def base_of(arch, shapes, **more):
    """Return a base with these tensors in its first block."""
    tensors = {f"blk.0.{name}.weight": shape for name, shape in shapes.items()}
    sizes = {"blocks": 1, "heads": 4, "kv_heads": 2, "head_dim": 6, "hidden": 10, **more}
    return BaseModel(hparams=HParams(arch=arch, **sizes), tensors=tensors, origin="the tests")


@pytest.mark.property
@given(
    chosen=st.sets(st.sampled_from(range(3)), min_size=1),
    alphas=st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=3, max_size=3),
    ranks=st.lists(st.integers(1, 4), min_size=3, max_size=3),
    arch=st.sampled_from(["llama", "qwen3"]),
)
def test_joined_attention(chosen, alphas, ranks, arch):
    """ΔW of the joined weight has each part's in its rows, and zeros where none adapts."""
    apart = {"attn_q": (24, 10), "attn_k": (12, 10), "attn_v": (12, 10)}
    rows = [24, 12, 12]
    pairs = [
        pair(ATTENTION[part], rows[part], 10, alpha=alphas[part], rank=ranks[part]) for part in sorted(chosen)
    ]
    wanted = deltas(pairs, base_of(arch, apart))
    (found,) = deltas(pairs, base_of(arch, {"attn_qkv": (48, 10)})).items()
    parts = [wanted.get(f"blk.0.{name}.weight", np.zeros(shape)) for name, shape in apart.items()]
    assert found[0] == "blk.0.attn_qkv.weight"
    np.testing.assert_allclose(found[1], np.concatenate(parts), rtol=1e-5, atol=1e-5)


def test_attention_taken_apart():
    """A fused pair becomes three: A is each one's, and the rows of B are shared out."""
    fused = [pair(f"{LAYER}.self_attn.qkv_proj", 48, 10)]
    (whole,) = deltas(fused, base_of("phi3", {"attn_qkv": (48, 10)})).values()
    parts = deltas(fused, base_of("phi3", {"attn_q": (24, 10), "attn_k": (12, 10), "attn_v": (12, 10)}))
    assert [shape.shape for shape in parts.values()] == [(24, 10), (12, 10), (12, 10)]
    assert np.array_equal(np.concatenate(list(parts.values())), whole)


def test_experts_joined_and_apart():
    """Gate and up of experts, one below the other in each expert."""
    routed = [pair(f"{EXPERTS}.gate_up_proj", 3, 16, 10)]
    sizes = {"experts": 3, "expert_feed_forward": 8}
    parts = deltas(
        routed, base_of("qwen3moe", {"ffn_gate_exps": (3, 8, 10), "ffn_up_exps": (3, 8, 10)}, **sizes)
    )
    (whole,) = deltas(routed, base_of("qwen3moe", {"ffn_gate_up_exps": (3, 16, 10)}, **sizes)).values()
    np.testing.assert_allclose(whole, np.concatenate(list(parts.values()), 1), rtol=1e-5, atol=1e-5)
    gemma = [routed[0]._replace(module=f"{LAYER}.experts.gate_up_proj")]
    apart = deltas(
        gemma, base_of("gemma4", {"ffn_gate_exps": (3, 8, 10), "ffn_up_exps": (3, 8, 10)}, **sizes)
    )
    assert [shape.shape for shape in apart.values()] == [(3, 8, 10), (3, 8, 10)]


def test_single_experts_of_a_joined_weight():
    """Some experts alone, of one part alone: the others, and the other part, are zeros."""
    some = [pair(f"{EXPERTS}.{expert}.up_proj", 8, 10, seed=expert) for expert in (0, 2)]
    sizes = {"experts": 3, "expert_feed_forward": 8}
    (found,) = deltas(some, base_of("qwen3moe", {"ffn_gate_up_exps": (3, 16, 10)}, **sizes)).values()
    assert found.shape == (3, 16, 10)
    assert not found[1].any()
    assert not found[:, :8].any()
    assert found[0, 8:].any()
    assert found[2, 8:].any()


def test_a_row_with_blocks_of_both_kinds_is_left_alone():
    """Qwen 3.5 has attn_qkv in some blocks and attn_q in others: neither stands for the other."""
    base = base_of("qwen35", {"attn_qkv": (48, 10)})
    with pytest.raises(InputError, match=r"the base has no blk\.0\.attn_k\.weight"):
        deltas([pair(ATTENTION[1], 12, 10)], base)


@pytest.mark.parametrize(
    "shapes",
    [
        {"blk.0.attn_qkv.weight": (48,)},
        {"blk.0.attn_q.weight": (24,), "blk.0.attn_k.weight": (12,), "blk.0.attn_v.weight": (12,)},
        {"attn_qkv": (48, 10)},
        {f"blk.{'9' * 5000}.attn_qkv.weight": (48, 10)},
        {"blk.-1.attn_qkv.weight": (48, 10), "blk.0.attn_qkv.weight": ()},
    ],
)
@pytest.mark.parametrize("arch", ["llama", "phi3"])
def test_a_header_that_lies(shapes, arch):
    """Names and shapes that no model has are told as what they are: the weight is not there, or no matrix."""
    module = f"{LAYER}.self_attn.qkv_proj" if arch == "phi3" else ATTENTION[0]
    base = replace(base_of(arch, {}), tensors=shapes)
    with pytest.raises(InputError, match=r"the base has no blk\.0|is not a matrix in the base"):
        deltas([pair(module, 48 if arch == "phi3" else 24, 10)], base)
