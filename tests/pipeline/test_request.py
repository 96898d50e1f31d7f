"""What a user may ask for: several adapters, their weights, and where all of it goes."""

from pathlib import Path

import pytest
from recipes import write_adapter

from ollama_pack.errors import InputError
from ollama_pack.pipeline.inputs import resolve_inputs
from ollama_pack.pipeline.naming import model_name
from ollama_pack.pipeline.request import Request

ONE, TWO = Path("runs/ada-lora"), Path("elsewhere/babbage")


def test_only_the_directory_is_needed():
    """Without anything else it is one adapter, weighed as it was trained, named like its directory."""
    asked = Request(directory=ONE)
    assert (asked.directories, asked.weights, asked.scale) == ((ONE,), (), 1.0)
    assert str(model_name(asked)) == "ada"


def test_several_adapters():
    """Further adapters follow the first, as text too, and lend their names."""
    asked = Request(directory=ONE, others=(str(TWO),), weights=(1.0, 0.5))
    assert asked.directories == (ONE, TWO)
    assert str(model_name(asked)) == "ada-babbage"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param(
            {"weights": (1.0, 2.0)},
            r"weights \(2\) is not the number of adapters \(1\)",
            id="more weights than adapters",
        ),
        pytest.param(
            {"others": (TWO,), "weights": (1.0,)},
            r"weights \(1\) is not the number of adapters \(2\)",
            id="fewer weights",
        ),
        pytest.param({"scale": float("nan")}, "is not a usable weight", id="a scale of NaN"),
        pytest.param({"scale": float("inf")}, "is not a usable weight", id="a scale without end"),
        pytest.param({"weights": (float("nan"),)}, "is not a usable weight", id="a weight of NaN"),
        pytest.param({"scale": 0.0}, "does nothing", id="a scale of zero"),
        pytest.param({"weights": (0.0,)}, "does nothing", id="a weight of zero"),
        pytest.param({"others": (TWO,), "weights": (0.0, -0.0)}, "does nothing", id="all weights zero"),
    ],
)
def test_weights_that_are_none(fields, message):
    """Weights that fit no adapters, or leave nothing of them, are told at once."""
    with pytest.raises(InputError, match=message):
        Request(directory=ONE, **fields)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"scale": 0.0, "allow_noop": True}, id="nothing, where it is meant"),
        pytest.param({"scale": -1.0}, id="the opposite"),
        pytest.param({"others": (TWO,), "weights": (0.0, 1.0)}, id="one of two left out"),
    ],
)
def test_unusual_weights(fields):
    """A negative weight, and one of zero beside others, are taken as they are."""
    asked = Request(directory=ONE, **fields)
    assert {name: getattr(asked, name) for name in fields} == fields


def test_one_adapter_goes_beside_itself(tmp_path):
    """The files of one adapter go beside it, also where that is below the directory."""
    write_adapter(tmp_path / "run" / "style")
    inputs = resolve_inputs(Request(directory=tmp_path / "run"))
    assert inputs.home == inputs.output_dir.parent == tmp_path / "run" / "style"
    elsewhere = Request(directory=tmp_path / "run", out=tmp_path / "out")
    assert resolve_inputs(elsewhere).output_dir == tmp_path / "out"


def test_one_of_several_is_named(tmp_path):
    """The adapter that is named lends its name as a tag, and has its files in its own directory."""
    for name in ("style", "facts"):
        write_adapter(tmp_path / "run" / name)
    inputs = resolve_inputs(Request(directory=tmp_path / "run", adapter="facts"))
    assert (str(inputs.name), inputs.output_dir) == ("run:facts", tmp_path / "run" / "facts" / "ollama")


def test_a_sum_has_a_folder_of_its_own(tmp_path):
    """The files of a sum belong to none of its adapters, so they lie beside the first."""
    first, second = write_adapter(tmp_path / "ada-lora"), write_adapter(tmp_path / "deep" / "babbage")
    assert resolve_inputs(Request(directory=first, others=(second,))).output_dir == tmp_path / "ada-babbage"


def test_a_store_that_is_named(tmp_path):
    """A store that is named is the only place, whatever the environment says."""
    directory = write_adapter(tmp_path / "ada")
    locations = resolve_inputs(Request(directory=directory, store=str(tmp_path / "models"))).locations
    assert (locations.stores, locations.named) == ((tmp_path / "models",), True)


def test_a_name_that_is_none():
    """A name that Ollama would refuse is told when it is asked for."""
    with pytest.raises(InputError, match="does not accept"):
        model_name(Request(directory=ONE, name="a b"))
