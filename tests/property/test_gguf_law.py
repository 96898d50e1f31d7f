"""Laws of GGUF files: the same bytes every time, nothing half-written, nothing that breaks the reader."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from gguf import GGUFReader
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import outtypes, recipes, written

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.errors import InputError, PackError
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.lora.export import planned_size, write_lora
from ollama_pack.lora.planner import plan_lora

pytestmark = pytest.mark.property
few = settings(max_examples=25)


def convert(recipe, outtype, check=None):
    """Return what a recipe's file is on disk: the noun and the bytes."""
    with written(recipe) as (directory, adapter):
        path = directory / "lora.gguf"
        made = write_lora(plan_lora(adapter, recipe.base), path, outtype, check)
        return made._replace(path=Path("lora.gguf")), path.read_bytes()


@few
@given(recipes, outtypes)
def test_same_bytes_twice(recipe, outtype):
    """The same adapter gives the same bytes, wherever it lies, and the digest is theirs."""
    first, second = convert(recipe, outtype), convert(recipe, outtype)
    assert first == second
    assert first[0].digest == f"sha256:{hashlib.sha256(first[1]).hexdigest()}"


@few
@given(recipes, outtypes)
def test_order_of_the_input_does_not_matter(recipe, outtype):
    """Tensors the other way round in the weights, and keys in the configuration, give the same bytes."""
    backwards = replace(recipe, reverse=True, config=dict(reversed(recipe.config.items())))
    assert convert(recipe, outtype) == convert(backwards, outtype)


@few
@given(recipes, outtypes, st.randoms(use_true_random=False))
def test_order_of_the_configuration_does_not_matter(recipe, outtype, random):
    """The order of keys in adapter_config.json changes nothing."""
    digests = set()
    for _ in range(2):
        with written(recipe) as (directory, adapter):
            items = list(json.loads((directory / "ada/adapter_config.json").read_text()).items())
            random.shuffle(items)
            shuffled = replace(adapter, config=dict(items))
            plan = plan_lora(shuffled, recipe.base)
            digests.add(write_lora(plan, directory / "x.gguf", outtype).digest)
    assert len(digests) == 1


@few
@given(recipes, outtypes)
def test_gguf_reads_every_file(recipe, outtype):
    """gguf-py and this reader find the same tensors, in the same places."""
    with written(recipe) as (directory, adapter):
        plan = plan_lora(adapter, recipe.base)
        path = directory / "lora.gguf"
        assert write_lora(plan, path, outtype).size == planned_size(plan, outtype)
        witness, found = GGUFReader(path), read_gguf(path)
        assert {tensor.name: tensor.data_offset for tensor in witness.tensors} == found.offsets
        assert witness.fields["adapter.lora.alpha"].contents() == np.float32(plan.alpha)
        del witness  # it maps the file


@few
@given(recipes, st.sampled_from([KeyboardInterrupt, MemoryError, InputError]), st.data())
def test_interruptions(recipe, failure, data):
    """Whatever stops the writing, at whichever tensor, leaves no file behind."""
    with written(recipe) as (directory, adapter), pytest.MonkeyPatch.context() as patch:
        plan = plan_lora(adapter, recipe.base)
        left = data.draw(st.integers(0, len(plan.tensors) - 1))
        patch.setattr("ollama_pack.lora.export.cast_tensor", failing_after(left, failure))
        before = sorted(directory.iterdir())
        with pytest.raises(failure):
            write_lora(plan, directory / "lora.gguf", "f16")
        assert sorted(directory.iterdir()) == before


def failing_after(left, failure):
    """Return cast_tensor that raises after so many tensors."""
    from ollama_pack.lora.export_tensor import cast_tensor

    remaining = iter(range(left))

    def cast(*arguments):
        if next(remaining, None) is None:
            raise failure("stopped")
        return cast_tensor(*arguments)

    return cast


def cut(content: bytes):
    """Read all that can be read of a model file cut short."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "cut.gguf"
        path.write_bytes(content)
        read_base_gguf(path)
        found = read_gguf(path)
        for name in found.shapes:
            found.stored(name)


@given(data=st.data())
def test_any_truncation(tiny_gguf, data):
    """A model cut at any byte is an InputError, in its header or in its tensors."""
    content = tiny_gguf.read_bytes()
    header = min(read_gguf(tiny_gguf).offsets.values())
    length = data.draw(st.integers(0, header) | st.integers(0, len(content) - 32))
    with pytest.raises(InputError):
        cut(content[:length])


@given(data=st.data())
def test_any_bytes_changed(tiny_gguf, data):
    """A model with bytes changed is read or refused, with no traceback and no memory."""
    content = bytearray(tiny_gguf.read_bytes())
    header = min(read_gguf(tiny_gguf).offsets.values())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(4, header - 1))
        content[position] = data.draw(st.integers(0, 255))
    try:
        cut(bytes(content))
    except PackError as error:
        assert str(error)
