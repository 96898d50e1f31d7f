"""The proof of the numbers: right files pass with a true figure, wrong ones are caught."""

from dataclasses import dataclass, replace
from pathlib import Path

import gguf
import numpy as np
import pytest
from recipes import TINY, read_numbers, resized, write_adapter

from ollama_pack.errors import InputError, ProofError
from ollama_pack.lora.adapter import Adapter
from ollama_pack.lora.export import write_lora
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.planner import plan_lora
from ollama_pack.verify.numbers import LIMITS, prove_numbers, require_passed

Q, K, V = "blk.0.attn_q.weight", "blk.1.attn_k.weight", "blk.0.attn_v.weight"
PATTERNS = {"alpha_pattern": {"v_proj": 9}, "use_rslora": True}


@dataclass
class Copy:
    """A GGUF LoRA file as it was written, open for forging."""

    adapter: Adapter
    path: Path
    alpha: float
    tensors: dict[str, np.ndarray]
    keys: dict[str, str]

    def prove(self, base=TINY):
        """Write what is here with gguf-py, and prove it."""
        writer = gguf.GGUFWriter(self.path, self.keys["general.architecture"])
        for key, text in list(self.keys.items())[1:]:
            writer.add_string(key, text)
        writer.add_float32("adapter.lora.alpha", self.alpha)
        for name, array in self.tensors.items():
            writer.add_tensor(name, np.ascontiguousarray(array))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return prove_numbers(self.adapter, base, self.path)


@pytest.fixture
def copy_of(tmp_path):
    """Return a function that converts an adapter and opens the file for forging."""

    def convert(outtype="f16", **fields):
        adapter = read_adapter(write_adapter(tmp_path / "ada", **fields))
        path = tmp_path / "ada.gguf"
        plan = plan_lora(adapter, TINY)
        write_lora(plan, path, outtype)
        tensors = {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(path).tensors}
        keys = {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora"}
        return Copy(adapter, path, plan.alpha, tensors, keys)

    return convert


def true_figure(copy: Copy) -> float:
    """Return the largest ‖ΔW' − ΔW‖ / ‖ΔW‖, in float64, of matrices that are really formed."""
    factors, found = read_numbers(copy.adapter.weights), []
    tensors = [tensor.name for tensor in plan_lora(copy.adapter, TINY).tensors[1::2]]
    for pair, name in zip(copy.adapter.pairs, tensors, strict=True):
        a, b = factors[pair.a.name], factors[pair.b.name]
        heads = {"q": TINY.hparams.heads, "k": TINY.hparams.kv_heads}.get(pair.module.rpartition(".")[2][:-5])
        if heads is not None:
            b = b.reshape(heads, 2, TINY.hparams.head_dim // 2, -1).swapaxes(1, 2).reshape(b.shape)
        written_b = copy.tensors[name].astype(np.float64)
        written_a = copy.tensors[name.replace("lora_b", "lora_a")].astype(np.float64)
        wanted = pair.scale * (b @ a)
        difference = np.float32(copy.alpha) / pair.rank * (written_b @ written_a) - wanted
        found.append(np.linalg.norm(difference) / np.linalg.norm(wanted))
    return max(found)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("outtype", ["f16", "f32"])
@pytest.mark.parametrize("config", [{}, PATTERNS], ids=["one alpha", "folded scales"])
def test_right_files_pass(copy_of, dtype, outtype, config):
    """What was converted passes, from any dtype to any other, with scales folded or not."""
    copy = copy_of(outtype, dtype=dtype, config=config)
    report = prove_numbers(copy.adapter, TINY, copy.path)
    assert report.passed
    assert (report.proof, report.limit) == ("numbers", LIMITS[outtype.upper()])


@pytest.mark.parametrize(
    ("outtype", "config"),
    [
        pytest.param("f16", {}, id="rounded to f16"),
        pytest.param("f16", PATTERNS, id="rounded to f16, with folded scales"),
        pytest.param("f32", PATTERNS, id="f32, with folded scales"),
    ],
)
def test_figure_is_true(copy_of, outtype, config):
    """The figure is an upper bound of the true one but for a rounding of float32, and not far above it."""
    copy = copy_of(outtype, config=config)
    figure, true = prove_numbers(copy.adapter, TINY, copy.path).figure, true_figure(copy)
    assert true * 0.999 - 2.0**-24 <= figure <= true * 1.6 + 2.0**-24


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("place", [(0, 0), (1, 2), (2, -1)])
def test_figure_of_one_number(copy_of, side, place):
    """Where a single number differs, the figure is the norm of what it does to ΔW."""
    copy = copy_of("f32", modules=("v_proj",), rank=3)
    copy.tensors[f"{V}.lora_{side}"][place] += 0.1
    assert copy.prove().figure == pytest.approx(true_figure(copy), rel=1e-4)


def test_exact_copies_have_no_error(copy_of):
    """Where nothing was rounded the figure is zero."""
    copy = copy_of("f16", dtype="F16")
    assert prove_numbers(copy.adapter, TINY, copy.path).figure == 0.0


def test_untrained_adapter(copy_of):
    """A B of zeros gives no ΔW, and a right file of it passes."""
    name = "base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight"
    copy = copy_of(extra={name: np.zeros((12, 3))})
    assert prove_numbers(copy.adapter, TINY, copy.path).passed


def test_zeros_that_are_not(copy_of):
    """Where PEFT's ΔW is zero, a file with another one fails."""
    name = "base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight"
    copy = copy_of(extra={name: np.zeros((12, 3))})
    copy.tensors[f"{V}.lora_b"][0, 0] = 0.5
    report = copy.prove()
    assert not report.passed
    assert report.worst == V


def unpermuted(array, heads):
    """Return rows as Hugging Face has them."""
    return array.reshape(heads, TINY.hparams.head_dim // 2, 2, -1).swapaxes(1, 2).reshape(array.shape)


def test_queries_not_permuted(copy_of):
    """A query weight in Hugging Face's order of rows is caught."""
    copy = copy_of()
    copy.tensors[f"{Q}.lora_b"] = unpermuted(copy.tensors[f"{Q}.lora_b"], TINY.hparams.heads)
    report = copy.prove()
    assert not report.passed
    assert (report.worst, report.figure > 0.1) == (Q, True)


def test_keys_permuted_by_query_heads(copy_of):
    """A key weight ordered as if it had as many heads as the queries is caught."""
    copy = copy_of()
    b = unpermuted(copy.tensors[f"{K}.lora_b"], TINY.hparams.kv_heads)
    wrong = b.reshape(TINY.hparams.kv_heads * 3, 2, 1, -1).swapaxes(1, 2).reshape(TINY.hparams.heads, -1, 3)
    copy.tensors[f"{K}.lora_b"] = wrong[:, ::-1].reshape(b.shape)
    report = copy.prove()
    assert not report.passed
    assert report.worst == K


@pytest.mark.parametrize("alpha", [12.0, 3.0, 0.0, np.inf, np.nan, 6.02])
def test_wrong_alpha(copy_of, alpha):
    """Twice the alpha, half of it, none, or one a little off, is caught."""
    copy = copy_of(alpha=6)
    copy.alpha = alpha
    assert not copy.prove().passed


@pytest.mark.parametrize("side", ["a", "b"])
def test_layers_swapped(copy_of, side):
    """A factor of another layer is caught."""
    copy = copy_of()
    first, second = (f"blk.{block}.ffn_up.weight.lora_{side}" for block in (0, 1))
    copy.tensors[first], copy.tensors[second] = copy.tensors[second], copy.tensors[first]
    report = copy.prove()
    assert not report.passed
    assert "ffn_up" in report.worst


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("outtype", ["f16", "f32"])
@pytest.mark.parametrize("name", [Q, K, V], ids=["query", "key", "value"])
def test_one_number_changed(copy_of, side, outtype, name):
    """A single number that is off by one per cent is caught, wherever it is."""
    copy = copy_of(outtype)
    copy.tensors[f"{name}.lora_{side}"][1, 2] *= 1.01
    report = copy.prove()
    assert not report.passed
    assert report.worst == name


def test_one_number_in_a_large_matrix(copy_of):
    """A single number hides in the norm of a large matrix, but not from the proof."""
    copy = copy_of(base=resized(TINY, hidden=20), modules=("v_proj",), layers=(0,), rank=3)
    copy.tensors[f"{V}.lora_b"][7, 1] *= 1.002
    report = copy.prove()
    assert report.figure < LIMITS["F16"]
    assert not report.passed
    assert "A number of" in report.summary


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("bad", [np.nan, np.inf], ids=["NaN", "infinity"])
def test_not_finite(copy_of, side, bad):
    """A NaN or an infinity inside the file is caught."""
    copy = copy_of()
    copy.tensors[f"{V}.lora_{side}"][0, 1] = bad
    report = copy.prove()
    assert not report.passed
    assert report.worst == V


def test_missing_tensor(copy_of):
    """A file with a tensor less fails with both counts."""
    copy = copy_of()
    del copy.tensors[f"{K}.lora_b"]
    with pytest.raises(ProofError, match="27 tensors, the adapter 28"):
        copy.prove()


def test_renamed_tensor(copy_of):
    """A tensor of another name is missed by its module."""
    copy = copy_of()
    copy.tensors["blk.7.attn_k.weight.lora_b"] = copy.tensors.pop(f"{K}.lora_b")
    with pytest.raises(ProofError, match=r"no lora_b of model\.layers\.1\.self_attn\.k_proj") as caught:
        copy.prove()
    assert caught.value.where == f"ada.gguf: {K}"


def test_other_shape(copy_of):
    """A factor of another shape fails with both shapes."""
    copy = copy_of()
    copy.tensors[f"{V}.lora_b"] = copy.tensors[f"{V}.lora_b"][:-1]
    with pytest.raises(ProofError, match=r"and \(11, 3\), but"):
        copy.prove()


@pytest.mark.parametrize(
    ("key", "value"),
    [("general.architecture", "qwen2"), ("general.type", "model"), ("adapter.type", "control_vector")],
)
def test_other_kind(copy_of, key, value):
    """A file of another architecture or kind fails with the key."""
    copy = copy_of()
    copy.keys[key] = value
    with pytest.raises(ProofError, match=f"'{value}', not") as caught:
        copy.prove()
    assert caught.value.where.endswith(key)


def test_quantised_file(copy_of):
    """A quantised factor cannot be compared, and is an InputError."""
    copy = copy_of()
    raw = np.zeros((28, 18), np.uint8)
    path = copy.path.with_name("quantised.gguf")
    writer = gguf.GGUFWriter(path, "llama")
    for key, text in list(copy.keys.items())[1:]:
        writer.add_string(key, text)
    for name in copy.tensors:
        writer.add_tensor(name, raw, raw_dtype=gguf.GGMLQuantizationType.Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(InputError, match="quantised"):
        prove_numbers(copy.adapter, TINY, path)


def test_require(copy_of):
    """A report that passed is handed on; one that did not is a ProofError with a way out."""
    copy = copy_of()
    report = prove_numbers(copy.adapter, TINY, copy.path)
    assert require_passed(report, copy.path) is report
    with pytest.raises(ProofError) as caught:
        require_passed(replace(report, passed=False, worst=V), copy.path)
    assert (caught.value.where, "--outtype f32" in caught.value.hint) == (f"ada.gguf: {V}", True)
