"""Where a module of an adapter goes in a row of the table, or nowhere."""

import pytest

from ollama_pack.arch.hparams import HParams
from ollama_pack.arch.spec import dimension, find_targets
from ollama_pack.arch.table import require_arch


@pytest.mark.parametrize(
    ("module", "tensor", "block"),
    [
        pytest.param("model.layers.0.self_attn.q_proj", "blk.0.attn_q.weight", 0, id="the first block"),
        pytest.param("model.layers.103.mlp.up_proj", "blk.103.ffn_up.weight", 103, id="a block of many"),
        pytest.param("lm_head", "output.weight", -1, id="the head, outside the blocks"),
    ],
)
def test_targets(module, tensor, block):
    """A module is found with its tensor's name and its block."""
    (target,) = find_targets(require_arch("llama"), module)
    assert (target.tensor, target.block, target.expert) == (tensor, block, -1)


def test_target_of_an_expert():
    """A module of one expert is found with that expert's number."""
    (target,) = find_targets(require_arch("qwen3moe"), "model.layers.4.mlp.experts.17.up_proj")
    assert (target.tensor, target.block, target.expert) == ("blk.4.ffn_up_exps.weight", 4, 17)


def test_targets_of_a_fused_module():
    """A module whose rows are two weights goes into both tensors."""
    found = find_targets(require_arch("qwen3moe"), "model.layers.0.mlp.experts.gate_up_proj")
    assert [target.tensor for target in found] == ["blk.0.ffn_gate_exps.weight", "blk.0.ffn_up_exps.weight"]


STRANGERS = [
    "", "lm_head.0", "model.layers.self_attn.q_proj", "model.layers.0.q_proj", "model.embed_tokens.0",
    "x.model.layers.0.self_attn.q_proj", "model.norm", "model.layers.0.self_attn.q_proj.weight",
]  # fmt: skip


@pytest.mark.parametrize("module", STRANGERS)
def test_no_target(module):
    """What is no linear weight of a row has no place."""
    assert find_targets(require_arch("llama"), module) == ()


def test_unknown_size():
    """A row that names a size that does not exist is a bug, and shows as one."""
    with pytest.raises(KeyError):
        dimension(
            "width",
            HParams(arch="llama", blocks=1, heads=1, kv_heads=1, head_dim=2, hidden=2),
        )
