"""The merged file, read by gguf's own reader: what changed, what did not, and what is left of a failure."""

import math
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.gguf.constants import MERGED_ADAPTER
from ollama_pack.gguf.ggml_types import size_of_tensors
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.plan import LoraPlan, LoraTensor
from ollama_pack.merge import rows
from ollama_pack.merge.draft import DraftFile
from ollama_pack.merge.keys import MergeLabels
from ollama_pack.merge.plan import plan_merge
from ollama_pack.merge.size import size_if_merged
from ollama_pack.merge.write import write_merged

TYPES = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1")
AUTO = {name: name if name in ("F32", "F16", "BF16") else "Q8_0" for name in TYPES}


def write_base(path: Path, kinds: dict[str, str], shape: tuple[int, ...] = (6, 64)) -> Path:
    """Write a model with a tensor of each type that is named, and return its path."""
    writer, random = gguf.GGUFWriter(path, "llama"), np.random.default_rng(7)
    writer.add_name("base")
    writer.add_file_type(2)
    writer.add_array("tokenizer.ggml.tokens", [f"token {place}" for place in range(3000)])
    for name, kind in kinds.items():
        numbers = random.normal(0, 1, shape).astype(np.float32)
        dtype = gguf.GGMLQuantizationType[kind]
        writer.add_tensor(name, gguf.quants.quantize(numbers, dtype), raw_dtype=dtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def held(numbers: np.ndarray) -> LazyTensor:
    """Return a tensor of numbers that are at hand."""
    return LazyTensor(Path("adapter"), "numbers", numbers.shape, (), lambda: numbers)


def plan_of(name: str, a: np.ndarray, b: np.ndarray, alpha: float) -> LoraPlan:
    """Return the plan of a GGUF LoRA file with one weight."""
    return LoraPlan(
        "llama",
        alpha,
        (LoraTensor(f"{name}.lora_a", held(a)), LoraTensor(f"{name}.lora_b", held(b))),
        {"general.base_model.count": 1, "general.base_model.0.name": "Base"},
    )


def factors_of(shape: tuple[int, ...], rank: int = 2) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    *front, out, width = shape
    return (
        random.normal(0, 1, (*front, rank, width)).astype(np.float32),
        random.normal(0, 1, (*front, out, rank)).astype(np.float32),
    )


def tensors_in(path: Path) -> dict[str, gguf.ReaderTensor]:
    """Return the tensors of a file as gguf's own reader finds them."""
    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


def numbers_in(tensor: gguf.ReaderTensor) -> np.ndarray:
    """Return the numbers of a tensor as the gguf library reads them."""
    shape = tuple(int(extent) for extent in reversed(tensor.shape))
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(shape)


@pytest.mark.property
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    touched=st.sampled_from(TYPES),
    others=st.lists(st.sampled_from(TYPES), max_size=3),
    sizes=st.tuples(
        st.sampled_from([(6, 64), (1, 32), (3, 5, 32), (40, 96)]), st.sampled_from([1, 100, 1 << 19])
    ),
)
def test_what_is_merged(tmp_path, monkeypatch, touched, others, sizes):
    """The touched tensor is W + s·B·A, rounded once; all other tensors and keys are the base's."""
    shape, block = sizes
    monkeypatch.setattr(rows, "BLOCK_NUMBERS", block)
    kinds = {"blk.0.attn_q.weight": touched} | {f"blk.{n}.ffn_up.weight": k for n, k in enumerate(others)}
    base = write_base(tmp_path / "base.gguf", kinds, shape)
    a, b = factors_of(shape)
    plan = plan_merge(
        (read_gguf(base),), plan_of("blk.0.attn_q.weight", a, b, 5.0), "auto", labels=MergeLabels(name="ada")
    )
    digest, size = write_merged(plan, tmp_path / "merged.gguf")
    assert size == (tmp_path / "merged.gguf").stat().st_size
    before, after = tensors_in(base), tensors_in(tmp_path / "merged.gguf")
    assert list(before) == list(after)
    for name in before.keys() - {"blk.0.attn_q.weight"}:
        assert after[name].tensor_type == before[name].tensor_type
        assert np.array_equal(after[name].data, before[name].data)
    one, other = before["blk.0.attn_q.weight"], after["blk.0.attn_q.weight"]
    assert other.tensor_type.name == AUTO[touched]
    wanted = numbers_in(one) + np.float32(5.0 / 2) * (b @ a)
    off = np.abs(numbers_in(other) - wanted).max() / np.abs(wanted).max()
    assert off <= {"F32": 1e-6, "F16": 2**-11, "BF16": 2**-8, "Q8_0": 0.51 / 127}[AUTO[touched]]
    fields = gguf.GGUFReader(tmp_path / "merged.gguf").fields
    assert fields["general.name"].contents() == "ada"
    assert len(fields["tokenizer.ggml.tokens"].contents()) == 3000
    assert fields["general.base_model.0.name"].contents() == "Base"
    assert digest == write_merged(plan, tmp_path / "again.gguf")[0]


@pytest.mark.parametrize("touched", TYPES)
@pytest.mark.parametrize("shape", [(64, 64), (3, 32, 32), (64, 20)])
def test_the_size_is_known_before(tmp_path, touched, shape):
    """What a build says of the merged form is the size that the file has, but for its keys."""
    touched = touched if shape[-1] % 32 == 0 or touched in ("F32", "F16", "BF16") else "F16"
    base = write_base(tmp_path / "base.gguf", {"w": touched, "v": "F32"}, shape)
    header = read_gguf(base)
    told = size_if_merged(base.stat().st_size, header.shapes, header.types, ["w"])
    _, size = write_merged(
        plan_merge((header,), plan_of("w", *factors_of(shape), 1.0), "auto"), tmp_path / "merged.gguf"
    )
    assert abs(told - size) < 300
    assert size_if_merged(base.stat().st_size, header.shapes, header.types, ["another"]) is None
    data = size_of_tensors(header.shapes, header.types)
    assert 0 <= base.stat().st_size - header.offsets["w"] - data < 64


def test_an_embedding(tmp_path):
    """A and B of an embedding are the other way round in a GGUF LoRA file: the rows are those of A."""
    base = write_base(tmp_path / "base.gguf", {"token_embd.weight": "F32"}, (10, 32))
    a = np.ones((10, 2), np.float32) * np.arange(10, dtype=np.float32)[:, None]
    b = np.ones((32, 2), np.float32)
    plan = plan_merge((read_gguf(base),), plan_of("token_embd.weight", a, b, 2.0), "auto")
    write_merged(plan, tmp_path / "merged.gguf")
    gained = numbers_in(tensors_in(tmp_path / "merged.gguf")["token_embd.weight"])
    gained = gained - numbers_in(tensors_in(base)["token_embd.weight"])
    assert np.allclose(gained, np.arange(10)[:, None] * 2.0, atol=1e-5)


@pytest.mark.parametrize("merge_type", ["q8_0", "f16", "bf16", "f32", "same"])
def test_the_type_that_was_chosen(tmp_path, merge_type):
    """Every type is written; the file says what most of it is; rows that fit no block become F16."""
    base = write_base(tmp_path / "base.gguf", {"blk.0.attn_q.weight": "Q4_1", "blk.1.attn_q.weight": "Q4_1"})
    plan = plan_merge(
        (read_gguf(base),), plan_of("blk.0.attn_q.weight", *factors_of((6, 64)), 1.0), merge_type
    )
    write_merged(plan, tmp_path / "merged.gguf")
    written = tensors_in(tmp_path / "merged.gguf")["blk.0.attn_q.weight"].tensor_type.name
    assert written == ("Q4_1" if merge_type == "same" else merge_type.upper())
    told = gguf.GGUFReader(tmp_path / "merged.gguf").fields["general.file_type"].contents()
    assert told == {"same": 2, "q8_0": 7, "f16": 1, "bf16": 32, "f32": 0}[merge_type]
    narrow = write_base(tmp_path / "narrow.gguf", {"blk.0.attn_q.weight": "F32"}, (6, 20))
    plan = plan_merge((read_gguf(narrow),), plan_of("blk.0.attn_q.weight", *factors_of((6, 20)), 1.0), "q8_0")
    assert plan.tensors[0].kind == gguf.GGMLQuantizationType.F16


def ending_badly(tmp_path: Path) -> Callable[[], object]:
    base = write_base(tmp_path / "base.gguf", {"blk.0.attn_q.weight": "F32"})
    plan = plan_merge((read_gguf(base),), plan_of("blk.0.attn_q.weight", *factors_of((6, 64)), 1.0), "auto")
    return lambda **more: write_merged(plan, tmp_path / "out" / "merged.gguf", **more)


def test_nothing_is_left_when_the_check_fails(tmp_path):
    """A file that fails its proof never gets its name, and no draft stays."""

    def check(_draft: Path) -> None:
        raise InputError("it is wrong")

    with pytest.raises(InputError, match="it is wrong"):
        ending_badly(tmp_path)(check=check)
    assert not list((tmp_path / "out").glob("*"))


def test_a_base_that_changes(tmp_path):
    """A base that is written to while it is read is found out, and nothing is left."""
    call = ending_badly(tmp_path)

    def change(*_: object) -> None:
        with (tmp_path / "base.gguf").open("ab") as file:
            file.write(b"more")

    with pytest.raises(InputError, match="changed while it was read"):
        call(progress=change)
    assert not list((tmp_path / "out").glob("*"))


def test_a_base_that_ends_early(tmp_path, monkeypatch):
    """A base that is cut after its header was read names the tensor."""
    base = write_base(tmp_path / "base.gguf", {"blk.0.attn_q.weight": "F32", "blk.0.ffn_up.weight": "F32"})
    plan = plan_merge((read_gguf(base),), plan_of("blk.0.attn_q.weight", *factors_of((6, 64)), 1.0), "auto")
    whole = base.read_bytes()
    for cut, name in ((100, "ffn_up"), (6 * 64 * 4 + 100, "attn_q")):
        base.write_bytes(whole[:-cut])
        with pytest.raises(InputError, match="ends inside the tensor") as caught:
            write_merged(plan, tmp_path / "merged.gguf")
        assert name in caught.value.where
    assert not (tmp_path / "merged.gguf").exists()


def test_without_copy_file_range(tmp_path, monkeypatch):
    """Where the kernel cannot copy, the bytes are the same."""
    base = write_base(tmp_path / "base.gguf", {"blk.0.attn_q.weight": "F16", "blk.0.ffn_up.weight": "Q4_0"})
    plan = plan_merge((read_gguf(base),), plan_of("blk.0.attn_q.weight", *factors_of((6, 64)), 1.0), "auto")
    digest, _ = write_merged(plan, tmp_path / "one.gguf")
    monkeypatch.setattr(DraftFile, "_copy_in_kernel", lambda *_: 0)
    assert write_merged(plan, tmp_path / "two.gguf")[0] == digest


def test_too_large_for_the_type(tmp_path):
    """A merged weight that float16 cannot hold is refused by name, with the type that can."""
    base = write_base(tmp_path / "base.gguf", {"blk.0.attn_q.weight": "F16"})
    a, b = factors_of((6, 64))
    plan = plan_merge((read_gguf(base),), plan_of("blk.0.attn_q.weight", a, b * 1e5, 1.0), "auto")
    with pytest.raises(UnsupportedError, match="beyond F16") as caught:
        write_merged(plan, tmp_path / "merged.gguf")
    assert caught.value.hint == "--merge-type f32"
    plan = plan_merge((read_gguf(base),), plan_of("blk.0.attn_q.weight", a, b * 1e5, 1.0), "f32")
    write_merged(plan, tmp_path / "merged.gguf")


def test_a_tensor_that_is_not_there(tmp_path):
    """An adapter for a tensor that the base lacks is refused before anything is written."""
    base = write_base(tmp_path / "base.gguf", {"blk.0.attn_q.weight": "F16"})
    with pytest.raises(InputError, match=r"no tensor blk\.9"):
        plan_merge((read_gguf(base),), plan_of("blk.9.attn_q.weight", *factors_of((6, 64)), 1.0), "auto")


def test_memory_does_not_grow_with_the_base(tmp_path):
    """The blocks of a tensor are what is in memory, not the tensor."""
    import tracemalloc

    shape = (4096, 1024)
    base = write_base(tmp_path / "base.gguf", {"blk.0.attn_q.weight": "Q4_0"}, shape)
    plan = plan_merge((read_gguf(base),), plan_of("blk.0.attn_q.weight", *factors_of(shape), 1.0), "auto")
    tracemalloc.start()
    write_merged(plan, tmp_path / "merged.gguf")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * math.prod(shape) * 4, "two copies of the tensor in float32"
    assert read_gguf(tmp_path / "merged.gguf").metadata[MERGED_ADAPTER] == ""
