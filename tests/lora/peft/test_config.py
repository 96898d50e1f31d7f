"""adapter_config.json: what passes, what is refused and by which rule."""

from pathlib import Path

import pytest

from ollama_pack.errors import InputError
from ollama_pack.lora.peft.config import (
    HARMLESS,
    MEANT_ELSEWHERE,
    UNSUPPORTED_KEYS,
    USED_KEYS,
    check_method,
    check_numbers,
    check_settings,
    ignored_settings,
    invocation_of,
    require_number,
    with_defaults,
)
from ollama_pack.lora.peft.methods import METHODS, OTHER_METHODS, Method
from ollama_pack.lora.unsupported import RULES, RuleViolations

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


def found(config):
    """Return the rules that settings are found under."""
    findings = RuleViolations(PATH)
    check_settings({**PLAIN, **config}, findings)
    return findings.codes


def test_defaults_of_peft():
    """A configuration of PEFT's defaults is taken, and no key of it is unknown."""
    assert found(PEFT_DEFAULTS) == ()
    assert not PEFT_DEFAULTS.keys() - HARMLESS - USED_KEYS - UNSUPPORTED_KEYS.keys()


def test_tables_are_disjoint():
    """No key stands in two tables, and every refused one has a rule."""
    assert not HARMLESS & USED_KEYS
    assert not (HARMLESS | USED_KEYS) & UNSUPPORTED_KEYS.keys()
    assert set(UNSUPPORTED_KEYS.values()) <= RULES.keys()


@pytest.mark.parametrize("start", [True, False, None, "gaussian", "eva", "orthogonal", "mica"])
def test_inits_that_leave_the_base_alone(start):
    """How A and B began does not matter where the base stayed what it was."""
    assert found({"init_lora_weights": start}) == ()


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_16", "olora", "corda", "lora_ga"])
def test_inits_that_alter_the_base(start):
    """An adapter that began inside the weights fits another base."""
    assert found({"init_lora_weights": start}) == ("altered-base",)


@pytest.mark.parametrize("start", ["loftq", "LoftQ"])
def test_quantising_inits(start):
    """LoftQ quantises the base, so that nothing tells what it was."""
    assert found({"init_lora_weights": start}) == ("quantised-base",)


@pytest.mark.parametrize("start", ["xyz", "pizza", 3])
def test_inits_nobody_knows(start):
    """The next one may alter the base, so it is refused like every unknown setting."""
    assert found({"init_lora_weights": start}) == ("unknown-setting",)


@pytest.mark.parametrize(("key", "rule"), UNSUPPORTED_KEYS.items(), ids=UNSUPPORTED_KEYS)
def test_refused_keys(key, rule):
    """A key that changes what A and B mean is found under its rule."""
    assert found({key: ["something"]}) == (rule,)


@pytest.mark.parametrize("value", [None, False, "", [], {}], ids=repr)
@pytest.mark.parametrize("key", ["use_dora", "modules_to_save", "from_the_future"])
def test_neutral_values(key, value):
    """A key that is off changes nothing, even an unknown one."""
    assert found({key: value}) == ()


SOMETHING = pytest.mark.parametrize("value", [True, "yes", 1, 0, 0.5, ["x"], {"x": 1}], ids=repr)


@SOMETHING
@pytest.mark.parametrize("version", ["0.22.0", "1.0.0", "from a fork"])
def test_unknown_keys_of_a_newer_peft(value, version):
    """A key that only a newer PEFT may know is found: nobody here knows what it changes."""
    config = {"peft_version": version, "from_the_future": value}
    assert found(config) == ("unknown-setting",)
    assert ignored_settings({**PLAIN, **config}) == ()


@SOMETHING
@pytest.mark.parametrize("version", [None, "0.9.0", "0.21.2", "0.21.3.dev0@main"])
def test_keys_that_peft_ignores(value, version):
    """A key that PEFT did not know when it saved the adapter is ignored, as PEFT ignores it, and told."""
    config = {"peft_version": version, "trainer": value, "r": 8}
    assert found(config) == ()
    assert ignored_settings({**PLAIN, **config}) == ("trainer",)


@pytest.mark.parametrize("key", sorted(MEANT_ELSEWHERE))
def test_keys_that_have_meant_something(key):
    """A key that changed A and B in a fork is found, whichever PEFT has saved it."""
    assert found({"peft_version": "0.21.2", key: 4}) == ("unknown-setting",)


@pytest.mark.parametrize("method", METHODS)
def test_missing_numbers_are_those_of_peft(method):
    """A rank or an alpha that is missing is what PEFT takes, and told; one that is there stays."""
    defaults = METHODS[method].defaults
    config, notes = with_defaults({"peft_type": method}, METHODS[method])
    assert config == {"peft_type": method, **defaults}
    assert len(notes) == len(defaults)
    assert with_defaults(config, METHODS[method]) == (config, ())
    check_numbers(config, PATH)


@pytest.mark.parametrize("method", ["LORA", "lora", "AdaLora", "VERA", "LOHA", "LOKR"])
def test_methods(method):
    """Methods with exact A and B have a row, however they are spelled."""
    row = check_method({"peft_type": method}, PATH)
    assert isinstance(row, Method)
    assert row.label.upper() == method.upper()


@pytest.mark.parametrize(
    ("method", "rule"), [(method, rule) for rule, methods in OTHER_METHODS.items() for method in methods]
)
def test_other_methods(method, rule):
    """Every other method of PEFT has the rule that refuses it."""
    assert check_method({"peft_type": method}, PATH) == rule
    assert rule in RULES
    assert method not in METHODS


@pytest.mark.parametrize("method", ["FROM_THE_FUTURE", 5, True])
def test_unknown_methods(method):
    """A method nobody here knows is refused as that."""
    assert check_method({"peft_type": method}, PATH) == "unknown-method"


def test_no_method():
    """A file without peft_type is no adapter's configuration."""
    with pytest.raises(InputError, match="peft_type is missing"):
        check_method({"r": 8}, PATH)


@pytest.mark.parametrize("key", ["rank_pattern", "alpha_pattern"])
@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        pytest.param([1], "not an object", id="a list"),
        pytest.param("q_proj", "not an object", id="a text"),
        pytest.param({"q_proj": "8"}, "q_proj is '8'", id="a text for a number"),
        pytest.param({"q_proj": True}, "q_proj is True", id="true"),
    ],
)
def test_patterns(key, pattern, message):
    """A pattern that is not name → number is named."""
    with pytest.raises(InputError, match=message) as caught:
        check_numbers({**PLAIN, key: pattern}, PATH)
    assert key in caught.value.where


@pytest.mark.parametrize("value", [8, 0.5, -3, 0, 10**9, 1e-40])
def test_alphas(value):
    """An alpha is any number; what it does is looked at later."""
    assert require_number({"lora_alpha": value}, "lora_alpha", PATH) == float(value)


BAD_NUMBERS = ["8", None, True, [8], float("nan"), float("inf"), 10**400, 1e39]


@pytest.mark.parametrize("value", [*BAD_NUMBERS, 0, -1, 2.5], ids=lambda value: f"{value!r:.12}")
def test_ranks_that_are_none(value):
    """A rank is a whole number above 0; anything else is told with its key."""
    with pytest.raises(InputError, match=r"r is .*; it must be a whole number from 1 to 1e") as caught:
        require_number({"r": value}, "r", PATH, whole=True)
    assert len(str(caught.value)) < 300
    assert caught.value.where == f"{PATH}: r"


@pytest.mark.parametrize("value", BAD_NUMBERS, ids=lambda value: f"{value!r:.12}")
def test_alphas_that_are_none(value):
    """What is no number, or has no place in a float32, is told with its key."""
    with pytest.raises(InputError, match=r"lora_alpha is .*; it must be a number"):
        require_number({"lora_alpha": value}, "lora_alpha", PATH)


def test_missing_number():
    """A missing key is called missing."""
    with pytest.raises(InputError, match="lora_alpha is missing"):
        require_number({}, "lora_alpha", PATH)


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        pytest.param(
            {"peft_type": "ADALORA", "r": 8, "lora_alpha": 1}, "init_r", id="AdaLoRA begins with init_r"
        ),
        pytest.param({"peft_type": "LOHA", "r": 8, "lora_alpha": 1}, "alpha", id="LoHa calls it alpha"),
        pytest.param({"peft_type": "LORA", "r": 8, "alpha": 1}, "lora_alpha", id="LoRA calls it lora_alpha"),
        pytest.param({"peft_type": "VERA"}, "r", id="VeRA has a rank alone"),
    ],
)
def test_numbers_of_each_method(config, missing):
    """Each method has its own names for rank and alpha."""
    with pytest.raises(InputError, match=f"^{missing} is missing"):
        check_numbers(config, PATH)


@pytest.mark.parametrize("value", [None, [], ...], ids=["null", "empty", "missing"])
def test_no_invocation(value):
    """An adapter without invocation tokens is always active."""
    assert invocation_of({} if value is ... else {"alora_invocation_tokens": value}, PATH) == ()


def test_invocation():
    """Invocation tokens are kept in their order."""
    assert invocation_of({"alora_invocation_tokens": [5, 9, 5]}, PATH) == (5, 9, 5)


@pytest.mark.parametrize("value", ["text", [1.5], [-1], [True], [2**31], {"a": 1}, 7], ids=repr)
def test_invocation_that_is_none(value):
    """What is no list of token ids is an InputError."""
    with pytest.raises(InputError, match="not token ids") as caught:
        invocation_of({"alora_invocation_tokens": value}, PATH)
    assert caught.value.where.endswith("alora_invocation_tokens")


@pytest.mark.parametrize("pattern", [[1], "q_proj", 7, True], ids=repr)
def test_rank_pattern_of_adalora(pattern):
    """AdaLoRA's pattern lists a true or false for each rank of a module; what is no object is told."""
    config = {"peft_type": "ADALORA", "init_r": 8, "lora_alpha": 16, "rank_pattern": pattern}
    with pytest.raises(InputError, match="not an object"):
        check_numbers(config, PATH)


def test_pattern_that_python_warns_of():
    """A regular expression whose meaning may change one day prints no warning."""
    check_numbers({**PLAIN, "alpha_pattern": {"[[a]": 8}}, PATH)
