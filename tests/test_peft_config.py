"""adapter_config.json: what passes, what is refused and by which name."""

from pathlib import Path

import pytest

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.peft_config import HARMLESS, REFUSED, USED, check_config, positive_number

PATH = Path("lora/adapter_config.json")
PLAIN = {"peft_type": "LORA", "r": 8, "lora_alpha": 16}

PEFT_DEFAULTS = {
    "task_type": "CAUSAL_LM", "peft_type": "LORA", "auto_mapping": None, "peft_version": "0.21.2",
    "base_model_name_or_path": None, "revision": None, "inference_mode": False, "r": 8,
    "target_modules": ["q_proj"], "exclude_modules": None, "lora_alpha": 8, "lora_dropout": 0.0,
    "fan_in_fan_out": False, "bias": "none", "use_rslora": False, "modules_to_save": None,
    "init_lora_weights": True, "layers_to_transform": None, "layers_pattern": None, "rank_pattern": {},
    "alpha_pattern": {}, "megatron_config": None, "megatron_core": "megatron.core",
    "trainable_token_indices": None, "loftq_config": {}, "eva_config": None, "corda_config": None,
    "lora_ga_config": None, "use_dora": False, "velora_config": None, "alora_invocation_tokens": None,
    "use_qalora": False, "qalora_group_size": 16, "monteclora_config": None, "layer_replication": None,
    "lora_bias": False, "target_parameters": None, "use_bdlora": None, "arrow_config": None,
    "kasa_config": None, "ensure_weight_tying": False,
}  # fmt: skip
"""Every key LoraConfig of PEFT 0.21.2 writes, with its default."""


def test_defaults_of_peft():
    """A configuration of PEFT's defaults is taken, and no key of it is unknown."""
    check_config(PEFT_DEFAULTS, PATH)
    assert not PEFT_DEFAULTS.keys() - HARMLESS - USED - REFUSED.keys() - {"bias", "init_lora_weights"}


def test_tables_are_disjoint():
    """No key stands in two tables."""
    assert not HARMLESS & USED
    assert not (HARMLESS | USED) & REFUSED.keys()


@pytest.mark.parametrize("start", [True, False, "gaussian", "eva", "orthogonal"])
def test_inits_that_leave_the_base_alone(start):
    """How A and B began does not matter where the base stayed what it was."""
    check_config({**PLAIN, "init_lora_weights": start}, PATH)


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_16", "olora", "corda", "loftq", "LoftQ", "lora_ga"])
def test_inits_that_alter_the_base(start):
    """An adapter that began inside the weights fits another base, so it is refused."""
    with pytest.raises(UnsupportedError, match=f"init_lora_weights = {start.lower()}: .*altered"):
        check_config({**PLAIN, "init_lora_weights": start}, PATH)


@pytest.mark.parametrize(("key", "reason"), REFUSED.items(), ids=REFUSED)
def test_refused_keys(key, reason):
    """A key that changes what A and B mean is refused by its name and its reason."""
    with pytest.raises(UnsupportedError) as caught:
        check_config({**PLAIN, key: ["something"]}, PATH)
    assert f"{key}: {reason}" in caught.value.what
    assert "merge_and_unload" in caught.value.hint


@pytest.mark.parametrize("value", [None, False, "", [], {}], ids=repr)
@pytest.mark.parametrize("key", ["use_dora", "modules_to_save", "from_the_future"])
def test_neutral_values(key, value):
    """A key that is off changes nothing, even an unknown one."""
    check_config({**PLAIN, key: value}, PATH)


@pytest.mark.parametrize("value", [True, "yes", 1, 0, 0.5, ["x"], {"x": 1}], ids=repr)
def test_unknown_keys(value):
    """An unknown key with a value is refused: nobody here knows what it changes."""
    with pytest.raises(UnsupportedError, match="from_the_future: unknown to this version"):
        check_config({**PLAIN, "from_the_future": value}, PATH)


@pytest.mark.parametrize("bias", ["all", "lora_only", None])
def test_bias(bias):
    """Trained biases are refused."""
    with pytest.raises(UnsupportedError, match=f"bias = {bias}"):
        check_config({**PLAIN, "bias": bias}, PATH)


def test_all_problems_at_once():
    """Several problems are told in one go, sorted."""
    with pytest.raises(UnsupportedError) as caught:
        check_config({**PLAIN, "use_dora": True, "lora_bias": True, "bias": "all"}, PATH)
    told = [line[4:].split(":")[0].split(" ")[0] for line in caught.value.what.splitlines()[1:]]
    assert told == ["bias", "lora_bias", "use_dora"]


def test_lower_case_method():
    """PEFT's enum prints in capitals, hand-written files do not; both are LoRA."""
    check_config({**PLAIN, "peft_type": "lora"}, PATH)


@pytest.mark.parametrize(
    "method", ["ADALORA", "LOHA", "LOKR", "IA3", "VERA", "OFT", "PROMPT_TUNING", 5, True]
)
def test_other_methods(method):
    """Another method than LoRA is refused, and told what it is."""
    with pytest.raises(UnsupportedError, match=f"adapter is {method}, not LORA"):
        check_config({**PLAIN, "peft_type": method}, PATH)


def test_no_method():
    """A file without peft_type is no adapter's configuration."""
    with pytest.raises(InputError, match="peft_type is missing"):
        check_config({"r": 8}, PATH)


@pytest.mark.parametrize("key", ["rank_pattern", "alpha_pattern"])
@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        pytest.param([1], "not an object", id="a list"),
        pytest.param("q_proj", "not an object", id="a text"),
        pytest.param({"q_proj": "8"}, "q_proj is '8'", id="a text for a number"),
        pytest.param({"q_proj": 0}, "q_proj is 0", id="zero"),
        pytest.param({"q_proj": True}, "q_proj is True", id="true"),
        pytest.param({"(": 8}, "not a regular expression", id="an open parenthesis"),
        pytest.param({"x{9999999999999}": 8}, "not a regular expression", id="too many repetitions"),
    ],
)
def test_patterns(key, pattern, message):
    """A pattern that is not name → number is named."""
    with pytest.raises(InputError, match=message) as caught:
        check_config({**PLAIN, key: pattern}, PATH)
    assert key in caught.value.where


@pytest.mark.parametrize(("value", "number"), [(8, 8.0), (0.5, 0.5), (1e-9, 1e-9), (10**9, 1e9)])
def test_positive_number(value, number):
    """A number above zero comes as a float."""
    found = positive_number({"r": value}, "r", PATH)
    assert isinstance(found, float)
    assert found == number


BAD_NUMBERS = [0, -1, "8", None, True, [8], float("nan"), float("inf"), 10**400, 1e39, 1e-40]


@pytest.mark.parametrize("value", BAD_NUMBERS, ids=lambda value: f"{value!r:.12}")
def test_not_a_positive_number(value):
    """What is not a number, or has no place in a float32, is told with its key."""
    with pytest.raises(InputError, match=r"r is .*; it must be a number above 0") as caught:
        positive_number({"r": value}, "r", PATH)
    assert len(str(caught.value)) < 300
    assert caught.value.where == f"{PATH}: r"


def test_missing_number():
    """A missing key is called missing."""
    with pytest.raises(InputError, match="lora_alpha is missing"):
        positive_number({}, "lora_alpha", PATH)
