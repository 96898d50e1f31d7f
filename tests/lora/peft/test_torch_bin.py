"""adapter_model.bin: read by torch as tensors, or not at all."""

import importlib.util
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from archive import unpacked

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.lora.peft.torch_bin import read_pickle


class Tensor:
    """What this module asks of a tensor of torch's."""

    def __init__(self, numbers, dtype="torch.float32"):
        self.numbers, self.dtype = np.asarray(numbers), dtype

    def detach(self):
        """Return itself."""
        return self

    def float(self):
        """Return it in float32."""
        return Tensor(self.numbers.astype(np.float32))

    contiguous = detach

    def numpy(self):
        """Return its numbers."""
        return self.numbers


@pytest.fixture
def torch(monkeypatch):
    """Put a stand-in for torch into its place, which remembers how it was called."""
    stand_in = types.ModuleType("torch")
    stand_in.__version__, stand_in.Tensor, stand_in.calls = "2.6.0+cpu", Tensor, []
    stand_in.serialization = types.SimpleNamespace(pickle=pickle)
    stand_in.answer = {"x": Tensor([[1, 2], [3, 4]])}

    def load(path, **options):
        stand_in.calls.append((path, options))
        if isinstance(stand_in.answer, Exception):
            raise stand_in.answer
        return stand_in.answer

    stand_in.load = load
    monkeypatch.setitem(sys.modules, "torch", stand_in)
    return stand_in


def test_tensors_alone(torch, tmp_path):
    """Torch is told to make tensors and nothing else, and what it makes is float32."""
    tensors = read_pickle(tmp_path / "adapter_model.bin")
    assert torch.calls == [(tmp_path / "adapter_model.bin", {"map_location": "cpu", "weights_only": True})]
    assert (tensors["x"].name, tensors["x"].shape) == ("x", (2, 2))
    assert (tensors["x"].compute().dtype, tensors["x"].compute().tolist()) == (np.float32, [[1, 2], [3, 4]])


@pytest.mark.parametrize("version", ["2.5.1", "2.0.0+cu118", "1.13.0"])
def test_old_torch(torch, tmp_path, version):
    """A torch whose loader has holes is not used."""
    torch.__version__ = version
    with pytest.raises(UnsupportedError, match="cannot read a pickle safely"):
        read_pickle(tmp_path / "x.bin")
    assert torch.calls == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(pickle.UnpicklingError("Weights only load failed"), id="a program"),
        pytest.param(RuntimeError("PytorchStreamReader failed"), id="damage"),
        pytest.param(EOFError(), id="cut short"),
        pytest.param([1, 2], id="a list"),
        pytest.param({"x": 1}, id="a number"),
        pytest.param({"x": Tensor([1]), "y": "text"}, id="a text among tensors"),
    ],
)
def test_other_things_than_tensors(torch, tmp_path, answer):
    """A pickle that holds anything else is damaged, with the way to save it again."""
    torch.answer = answer
    with pytest.raises(InputError, match="objects other than tensors") as caught:
        read_pickle(tmp_path / "x.bin")
    assert "safe_serialization=True" in caught.value.hint


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(TypeError("can't convert meta device type tensor to numpy"), id="one without numbers"),
        pytest.param(RuntimeError("unsupported memory format option Contiguous"), id="a sparse one"),
    ],
)
def test_tensors_without_plain_numbers(torch, tmp_path, error):
    """A tensor that torch cannot give as plain numbers is told, rather than a traceback."""

    class Strange(Tensor):
        def numpy(self):
            raise error

        float = contiguous = detach = lambda self: self

    torch.answer = {"x": Strange([1])}
    with pytest.raises(InputError):
        read_pickle(tmp_path / "x.bin")


@pytest.mark.parametrize("dtype", ["complex64", "int8", "float8_e4m3fn"])
def test_other_dtypes(torch, tmp_path, dtype):
    """What is no dtype of a LoRA is refused as in safetensors."""
    torch.answer = {"x": Tensor([1], f"torch.{dtype}")}
    with pytest.raises(UnsupportedError, match=f"stored as {dtype}"):
        read_pickle(tmp_path / "x.bin")


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_dtypes_of_lora(torch, tmp_path, dtype):
    """What a LoRA is stored in is read; float64 is rounded, as PEFT rounds it."""
    torch.answer = {"x": Tensor([1], f"torch.{dtype}")}
    assert read_pickle(tmp_path / "x.bin")["x"].compute().tolist() == [1.0]


def test_missing_file(torch, tmp_path):
    """A file that cannot be read is told with the reason."""
    torch.answer = FileNotFoundError(2, "No such file or directory")
    with pytest.raises(InputError, match="No such file"):
        read_pickle(tmp_path / "x.bin")


def test_no_torch(monkeypatch, tmp_path):
    """Without torch a pickle is named and not opened, with both ways out."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnsupportedError, match="which is not installed") as caught:
        read_pickle(tmp_path / "x.bin")
    assert "ollama-pack[torch]" in caught.value.hint
    assert "safe_serialization=True" in caught.value.hint


class Exploit:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (Path.touch, (Path(self.target),))


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="NOT TESTED: torch is not installed")
def test_real_torch(tmp_path):
    """Torch itself reads the recorded file, and refuses a pickle that is a program without running it."""
    tensors = read_pickle(unpacked("kinds", "llama") / "bin" / "adapter_model.bin")
    assert len(tensors) == 12
    assert all(".lora_" in name and each.compute().shape == each.shape for name, each in tensors.items())
    import torch

    exploit = {"x": Exploit(tmp_path / "ran")}
    (tmp_path / "old.bin").write_bytes(pickle.dumps(exploit, protocol=2))
    torch.save(exploit, tmp_path / "new.bin")
    for name in ("old.bin", "new.bin"):
        with pytest.raises(InputError, match="objects other than tensors"):
            read_pickle(tmp_path / name)
    assert not (tmp_path / "ran").exists()
