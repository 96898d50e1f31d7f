"""LoRA on bare parameters: which parameter, and one matrix an expert."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.errors import InputError
from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.factors import FactorError
from ollama_pack.lora.peft.keys import TensorKey
from ollama_pack.lora.peft.target_parameters import (
    AdaptedParameter,
    TargetParameters,
    parameter_of,
    split_experts,
)

EXPERTS = "model.layers.0.mlp.experts"
BOTH = {"target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]}
GATE, DOWN = f"{EXPERTS}.gate_up_proj", f"{EXPERTS}.down_proj"


def tensor(numbers):
    numbers = np.asarray(numbers, np.float32)
    return LazyTensor(Path("x"), "x", numbers.shape, (), lambda: numbers)


def of(name, *, bare=True):
    return AdaptedParameter(name, name, bare=bare)


Q0, MLP = "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj"
ONE = {"target_parameters": ["experts.down_proj"]}
OWNERS = {
    "the outer of two is declared last": (BOTH, EXPERTS, 0, of(DOWN)),
    "the inner of two is declared first": (BOTH, EXPERTS, 1, of(GATE)),
    "one alone": (ONE, EXPERTS, 0, of(DOWN)),
    "without their module": ({"target_parameters": ["down_proj", "gate_up_proj"]}, EXPERTS, 1, of(GATE)),
    "another module": (BOTH, MLP, 0, of(MLP, bare=False)),
    "no parameters wanted": ({}, EXPERTS, 0, of(EXPERTS, bare=False)),
    "the weight of a linear module": (
        {"target_parameters": ["q_proj.weight"]}, Q0, 0, AdaptedParameter(Q0, f"{Q0}.weight", bare=True)
    ),
    "not a list": ({"target_parameters": "text"}, EXPERTS, 0, of(EXPERTS, bare=False)),
}  # fmt: skip


@pytest.mark.parametrize(("config", "module", "depth", "owner"), OWNERS.values(), ids=OWNERS)
def test_owner(config, module, depth, owner):
    """PEFT's nesting tells which parameter a pair belongs to."""
    assert parameter_of(TensorKey(module, "lora_A", depth), TargetParameters(config)) == owner


@given(st.integers(2, 4), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5))
def test_one_matrix_an_expert(experts, rank, out, width):
    """The parts of each expert multiply to what PEFT's einsum gives for it."""
    random = np.random.default_rng(3)
    a, b = random.normal(0, 1, (experts * rank, width)), random.normal(0, 1, (out, rank * experts))
    parts = split_experts(
        AdaptedParameter("m", "m", bare=True), {"lora_A": tensor(a), "lora_B": tensor(b)}, rank
    )
    with TensorReader() as weights:
        split_a, split_b = (weights.float32(parts[side]).astype(np.float64) for side in ("lora_A", "lora_B"))
    wanted = np.einsum("ore,eri->eoi", b.reshape(out, rank, experts), a.reshape(experts, rank, width))
    np.testing.assert_allclose(split_b @ split_a, wanted, rtol=1e-5, atol=1e-5)


def test_a_plain_weight_is_left_alone():
    """LoRA on a two-dimensional parameter has no experts to split."""
    parts = {"lora_A": tensor(np.ones((3, 5))), "lora_B": tensor(np.ones((7, 3)))}
    assert split_experts(AdaptedParameter("m", "m", bare=True), parts, 3) is parts
    assert (
        split_experts(AdaptedParameter("m", "m"), {**parts, "lora_A": tensor(np.ones((6, 5)))}, 3)["lora_B"]
        is parts["lora_B"]
    )


@pytest.mark.parametrize(("rows", "columns"), [(5, 5), (6, 4), (0, 0)])
def test_no_whole_experts(rows, columns):
    """Factors that are not of the same experts and rank are told with both shapes."""
    parts = {"lora_A": tensor(np.ones((rows, 5))), "lora_B": tensor(np.ones((7, columns)))}
    with pytest.raises(FactorError, match="do not hold experts of rank 2"):
        split_experts(AdaptedParameter("m", "m", bare=True), parts, 2)


def test_parameters_without_a_module_are_few():
    """A configuration that names thousands of them is refused: each module would be asked for all."""
    with pytest.raises(InputError, match="without a module"):
        TargetParameters({"target_parameters": [f"p{number}" for number in range(1000)]})
