"""Rank and scale of every weight, as PEFT has them."""

import math
from pathlib import Path

import pytest

from ollama_pack.lora.peft.patterns import match_patterns
from ollama_pack.lora.peft.scaling import TrainedScales

Q0 = "model.layers.0.self_attn.q_proj"


def scale_of(module, settings):
    return TrainedScales(settings, match_patterns(settings, [module], Path("x"))).of(module)


def trained_rank(module, settings):
    return scale_of(module, settings).rank


def pair_alpha(module, settings, rank):
    return scale_of(module, settings).alpha_at(rank)


SCALES = {
    "plain: alpha / r": ({}, 16 / 8),
    "rsLoRA: alpha / √r": ({"use_rslora": True}, 16 / math.sqrt(8)),
    "a rank pattern": ({"rank_pattern": {"q_proj": 4}}, 16 / 4),
    "an alpha pattern": ({"alpha_pattern": {"q_proj": 32}}, 32 / 8),
    "both patterns": ({"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"q_proj": 1}}, 1 / 4),
    "rsLoRA with both": (
        {"use_rslora": True, "rank_pattern": {"q_proj": 4}, "alpha_pattern": {"q_proj": 1}},
        1 / math.sqrt(4),
    ),
    "a pattern of another module": ({"rank_pattern": {"k_proj": 4}}, 16 / 8),
    "half a name does not match": ({"rank_pattern": {"proj": 4}}, 16 / 8),
    "a name matches from a dot on": ({"rank_pattern": {"self_attn.q_proj": 4}}, 16 / 4),
    "the whole name matches": ({"rank_pattern": {Q0: 4}}, 16 / 4),
    "a regular expression matches": ({"rank_pattern": {r"layers\.[0-3]\..*q_proj": 4}}, 16 / 4),
    "a choice is one expression": ({"rank_pattern": {"k_proj|q_proj": 4}}, 16 / 4),
    "an anchor of the start": ({"rank_pattern": {r"^model\.layers\.0\.self_attn\.q_proj": 4}}, 16 / 4),
    "the first of two matches": ({"rank_pattern": {"q_proj": 4, r".*": 2}}, 16 / 4),
    "null patterns": ({"rank_pattern": None, "alpha_pattern": None}, 16 / 8),
}


@pytest.mark.parametrize(("config", "scale"), SCALES.values(), ids=SCALES)
def test_scale(config, scale):
    """The scale is what PEFT multiplies B·A with."""
    settings = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, **config}
    rank = trained_rank(Q0, settings)
    assert pair_alpha(Q0, settings, rank) / rank == pytest.approx(scale, rel=1e-15)


def test_adalora():
    """AdaLoRA divides by the rank it began with, and a hundred-thousandth, however many ranks it has kept."""
    kept = {f"{Q0}.lora_E": [True, False, True, False]}
    settings = {"peft_type": "ADALORA", "init_r": 4, "r": 8, "lora_alpha": 6, "rank_pattern": kept}
    assert trained_rank(Q0, settings) == 2
    assert pair_alpha(Q0, settings, 2) / 2 == pytest.approx(6 / (4 + 1e-5), rel=1e-15)
    assert trained_rank("model.layers.1.self_attn.q_proj", settings) == 4


def test_adalora_without_alpha():
    """An alpha of 0 or less means the rank to AdaLoRA."""
    settings = {"peft_type": "ADALORA", "init_r": 4, "lora_alpha": 0}
    assert pair_alpha(Q0, settings, 4) / 4 == pytest.approx(4 / (4 + 1e-5), rel=1e-15)


@pytest.mark.parametrize("method", ["LOHA", "LOKR"])
def test_folded_ranks(method):
    """The scale is alpha / r of the training, also where the fold has made the rank larger."""
    settings = {"peft_type": method, "r": 2, "alpha": 6, "alpha_pattern": {"q_proj": 10}}
    assert pair_alpha(Q0, settings, 16) / 16 == 5.0
    assert pair_alpha("model.norm", settings, 16) / 16 == 3.0


def test_vera():
    """VeRA has no scale."""
    assert pair_alpha(Q0, {"peft_type": "VERA", "r": 256}, 256) / 256 == 1.0


def test_two_dimensional_parameters():
    """A pattern for a parameter is matched with the parameter's name, as PEFT does."""
    settings = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "rank_pattern": {"q_proj": 4}}
    assert trained_rank(f"{Q0}.weight", settings) == 8


def test_an_alpha_is_kept_to_the_bit():
    """Where nothing is folded alpha is the very number of the configuration."""
    assert pair_alpha(Q0, {"peft_type": "LORA", "r": 7, "lora_alpha": 0.7}, 7) == 0.7
